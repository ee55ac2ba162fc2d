module lkt/vmware

go 1.24
