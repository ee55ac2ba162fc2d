module lkt/poweroff

go 1.24
