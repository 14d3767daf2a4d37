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
    rotate.py     the picture turned upright, by jpegtran; frame.py: its shape
    gainmap.py    the second picture of Ultra HDR; marks.py, xmp.py, hdrgm.py, iso21496.py, mpf.py: what announces it
    verify.py     reads the result again and shares none of the above; verify_gainmap.py: the same, of two pictures

Nothing is decoded here: https://www.w3.org/Graphics/JPEG/itu-t81.pdf, annex B, is all that is understood of a picture.
"""
