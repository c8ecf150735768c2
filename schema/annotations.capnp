@0xb018eed0ab2765fb;
# What the schemas say beyond Cap'n Proto.

annotation nullable @0xbb7dc094cd247fbc (field) :Void;
# The struct may be absent: the null pointer is absence, None in Python, null in JSON. Without this
# annotation the null pointer is the struct that holds only defaults. In a plain file any field may be null.

annotation plain @0xd1c6a0f4a2b35e71 (file) :Void;
# The file says what JSON documents hold, and nothing of it is ever stored as Cap'n Proto: names are snake_case,
# numbers are numbers (up to 2^53 - 1), and there are no Python types. The annotations below are for such files.

annotation camel @0xa9d3e1b7c5f08642 (field) :Void;
# The name in JSON is Cap'n Proto's own.

annotation optional @0xe4b8c2d6f1a39750 (field) :Void;
# The field may be left out.

annotation map @0xf2a7d9c3b6e18405 (field) :Void;
# In JSON the list is an object: the first field of each element is the name, the second the value.
