@0xb018eed0ab2765fb;
# What the schemas say beyond Cap'n Proto.

annotation nullable @0xbb7dc094cd247fbc (field) :Void;
# The struct may be absent: the null pointer is absence, None in Python, null in JSON. Without this
# annotation the null pointer is the struct that holds only defaults.
