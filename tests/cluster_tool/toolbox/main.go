// Toolbox is all that the Pods of the cluster tool's tests need, in one static program.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

func main() {
	client := http.Client{Timeout: 5 * time.Second}
	switch os.Args[1] {
	case "say": // say TEXT: to the log and to the termination log
		fmt.Println(os.Args[2])
		check(os.WriteFile("/dev/termination-log", []byte(os.Args[2]), 0o644))
	case "serve": // serve TEXT: by HTTP on port 8080
		http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Args[2]) })
		check(http.ListenAndServe(":8080", nil))
	case "get": // get URL
		answer, err := client.Get(os.Args[2])
		check(err)
		_, err = io.Copy(os.Stdout, answer.Body)
		check(err)
	}
}

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
