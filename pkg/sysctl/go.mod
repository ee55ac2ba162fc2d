module lkt/sysctl

go 1.24
