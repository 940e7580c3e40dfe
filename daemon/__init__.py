"""The only room that knows the others: storage, review, registry, serving, schedule, commands."""
