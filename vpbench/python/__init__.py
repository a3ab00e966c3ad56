"""vpbench from Python: what `import vpbench` offers. Its functions are used from there.

Work is done by processes of vpbench's own, so that a program's threads, settings and random state
neither move a number nor are touched.
"""
