"""The kinds of task: a base class for each, which does the work that a task's facts leave."""
