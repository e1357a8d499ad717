"""One module per on-disk layout. A reader knows a layout, not a dataset: the card's options tell it everything.

Each module has one `read(root, classes, fold, **options) -> Iterator[Sample]`, which a dataset card names as
`bench.data.readers.<module>:read`. It opens lists and annotations, never a picture. Ids are relative and unique;
the order is the list's, or sorted by name where there is no list. What does not fit raises `DataError`: a label
outside the classes, a path that leaves the root, an empty frame folder, files that a list names but the disk lacks
(all of them are counted, the first few named), an id used twice, a malformed line with its number.
"""
