module lkt/atomicfile

go 1.24
