package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
)

// must ends the operation with the error.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// get gives the value, or ends the operation with the error.
func get[T any](value T, err error) T {
	must(err)
	return value
}

// failure gives the error of a call, whatever else it gives.
func failure[T any](_ T, err error) error {
	return err
}

// same ends the operation where two values differ.
func same[T comparable](found, expected T, what string) {
	if found != expected {
		panic(fmt.Sprintf("%s: %v instead of %v", what, found, expected))
	}
}

// is ends the operation unless the error is that one.
func is(err, expected error) {
	if !errors.Is(err, expected) {
		panic(fmt.Sprintf("%v instead of %v", err, expected))
	}
}

// says ends the operation unless the error's text has this part.
func says(err error, part string) {
	if err == nil || !strings.Contains(err.Error(), part) {
		panic(fmt.Sprintf("%v instead of %s", err, part))
	}
}

// refused ends the operation unless the error is an answer with this status and, if there is
// one, this code.
func refused(err error, status int, code string) *azcore.ResponseError {
	var answer *azcore.ResponseError
	if !errors.As(err, &answer) {
		panic(fmt.Sprintf("%v instead of status %d", err, status))
	}
	same(answer.StatusCode, status, "status")
	var body struct{ Errors []struct{ Code string } }
	found := ""
	// Not all of them are JSON.
	if json.Unmarshal([]byte(payload(answer)), &body) == nil && len(body.Errors) > 0 {
		found = body.Errors[0].Code
	}
	same(found, code, "code")
	return answer
}

func payload(answer *azcore.ResponseError) string {
	return string(get(runtime.Payload(answer.RawResponse)))
}

// recent ends the operation unless a time is of now.
func recent(found *time.Time) {
	if past := time.Since(*found); past < -time.Minute || past > time.Hour {
		panic(fmt.Sprintf("%v is not of now", found))
	}
}

// atOnce runs as many attempts at the same time; the first that panics ends the operation.
func atOnce(count int, attempt func(int)) {
	var group sync.WaitGroup
	reasons := make(chan any, count)
	for index := range count {
		group.Add(1)
		go func() {
			defer group.Done()
			defer func() {
				if reason := recover(); reason != nil {
					reasons <- reason
				}
			}()
			attempt(index)
		}()
	}
	group.Wait()
	close(reasons)
	for reason := range reasons {
		panic(reason)
	}
}
