"""Least privileges as data: what each identity may do, and not one verb more.

The chart, the documents and the users of the tests are all made from these functions.
"""
