module lkt/ntp

go 1.24
