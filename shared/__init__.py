"""The library that the five services share. It knows no service and holds no business rule of one."""
