module lkt/sysfs

go 1.24
