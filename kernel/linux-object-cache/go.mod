module lkt/object-cache

go 1.24
