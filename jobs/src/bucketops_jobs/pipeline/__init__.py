"""Pictures from one bucket to another, stripped of all metadata, as they arrive.

    notices.py    what events say, whoever tells them; pure
    marks.py      what stands on what we wrote; pure
    decide.py     what becomes of a picture; pure
    inbox.py      what was heard and is not done yet; pure but for its lock
    latency.py    how long the pictures of the last minutes took
    cleaner.py    one picture: look, strip, write on condition, look again
    object_views.py  source and destination as they are listed
    notes.py      what could not be made clean, and why
    pairs.py      the listings, merged
    sweep.py      what events missed
    looked.py     what a sweep need not look into again
    plan.py       how a sweep of many pods is cut
    removal.py    clean pictures whose source is gone
    listen.py     the pods that hear events; hear_minio.py, hear_sqs.py and hear_webhook.py tell them
    checks.py     what is refused before anything is written

Events are hints: a picture is always taken as it is now, and nothing is written over what is newer.
"""
