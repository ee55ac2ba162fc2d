module lkt/ip

go 1.24
