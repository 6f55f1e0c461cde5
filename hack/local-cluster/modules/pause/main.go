// Pause holds a Pod's namespaces open until it is told to end.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ends := make(chan os.Signal, 1)
	signal.Notify(ends, syscall.SIGINT, syscall.SIGTERM)
	// With shared process namespaces this is process 1: nobody else would reap orphans.
	// Ignoring SIGCHLD makes the kernel do it.
	signal.Ignore(syscall.SIGCHLD)
	<-ends
}
