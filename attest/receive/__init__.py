"""What a receiving repository, or a pushing one, asks before it lets commits through: git's hooks."""
