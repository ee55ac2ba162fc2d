module lkt/modprobe

go 1.24
