"""Running workplans: a pure state machine that decides (`machine`) and the driver that acts (`threads`).

`engine` is the door: goals in, outcomes out as they come. What the values mean is left to the operators, what is worth
storing to `plan`, and keeping it to `storage`.
"""
