"""The signing daemon of one home: credentials in memory, every payload parsed, signed what a grant allows."""
