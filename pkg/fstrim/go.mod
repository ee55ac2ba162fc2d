module lkt/fstrim

go 1.24
