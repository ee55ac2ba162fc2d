module lkt/runsc

go 1.24
