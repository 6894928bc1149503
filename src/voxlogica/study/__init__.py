"""From one image to a study: cases, tables of rows, sweeps, heat maps, differences between runs, and reports.

Plain data and pure functions, above the engine and below the session: `cases` says what a folder or table holds, `rows`
what came out, `heatmaps` and `diff` compare, `report` shows. Which program runs on what is the session's business.
"""
