module lkt/modules

go 1.24
