module lkt/rogue

go 1.24
