"""The policy of a repository: who may sign what, where and when, as a file of ordered rules (docs/policy.md)."""
