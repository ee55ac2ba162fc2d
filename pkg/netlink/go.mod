module lkt/netlink

go 1.24
