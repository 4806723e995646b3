package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
)

// rows tells what became of each operation, one line of JSON each, in the file that INTEROP_ROWS names.
type rows struct {
	file   *os.File
	failed []string
}

const version = "0.2.3"

func newRows() *rows {
	file, err := os.OpenFile(os.Getenv("INTEROP_ROWS"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	must(err)
	return &rows{file: file}
}

// pass tries an operation, which passes if the function ends well.
func (r *rows) pass(operation string, attempt func()) {
	r.try(operation, "pass", "", attempt)
}

// defect tries an operation that the SDK gets wrong; the function ends well if it went wrong as the evidence says.
func (r *rows) defect(operation, evidence string, attempt func()) {
	r.try(operation, "defect", evidence, attempt)
}

func (r *rows) try(operation, result, evidence string, attempt func()) {
	defer func() {
		if reason := recover(); reason != nil {
			fmt.Printf("%s: %v\n%s\n", operation, reason, debug.Stack())
			r.failed = append(r.failed, operation)
			result, evidence = "fail", fmt.Sprint(reason)
		}
		line, err := json.Marshal(map[string]string{
			"suite": "go-sdk", "peer": "azcontainerregistry", "version": version,
			"operation": operation, "result": result, "evidence": evidence,
		})
		must(err)
		_, err = fmt.Fprintln(r.file, string(line))
		must(err)
	}()
	attempt()
}
