"""Questions about any video file: `predictor` answers them, `attention_maps` says where and when the answer was found,
`table` and `picture` show it, `web_demo` does so in a browser.
"""
