// Command lkt-logs is the program alone; lkt/sshd has it in its own.
package main

import (
	"os"

	"lkt/logs/command"
)

func main() { os.Exit(command.Main(os.Args[1:])) }
