"""Studies: measurements that are no tasks. A module or package here that defines ``study`` is one."""
