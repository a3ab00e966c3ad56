"""A plugin package written against api 1, as a third party would write it.

It must keep working with every vpbench that supports api 1. It is changed only together with the
contract of api 1, never to make a change of vpbench pass.
"""
