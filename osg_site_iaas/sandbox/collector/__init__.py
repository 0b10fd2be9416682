"""A stand-in for OSG's accounting collector (GRACC): same replies, same idea of which records are the same.

It is not GRACC. It copies what was observed of GRACC's HTTP door, of how a record becomes fields, of the
checksum by which a record is known, and of how core-hours are counted, so that a lost or doubled record shows
as core-hours.
"""
