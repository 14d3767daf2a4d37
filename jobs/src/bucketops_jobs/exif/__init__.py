"""Takes the metadata out of JPEG pictures and leaves the coded image byte for byte as it is.

    strip.py      the one function that others call: source in, clean picture and verdict out
    verdict.py    what may be asked for, and what is answered
    walk.py       the picture in one pass: header, scans, end
    header.py     what may stand before the first scan, written anew in the order of the standards
    tables.py     tables, frames and scans must have exactly the length that their fields say
    metadata.py   the names of what is taken out
    tiff.py       the few values of an EXIF block that are looked at
    trailer.py    what stands behind the picture
    reader.py     a window over the source
    verify.py     reads the result again and shares none of the above

Nothing is decoded: https://www.w3.org/Graphics/JPEG/itu-t81.pdf, annex B, is all that is understood of a picture.
"""
