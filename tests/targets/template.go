// Renders templates with Go's own text/template: JSON in (Template, System, Messages), JSON out.
package main

import (
	"encoding/json"
	"os"
	"strings"
	"text/template"
)

type message struct{ Role, Content string }

type job struct {
	Template, System string
	Messages         []*message
}

func main() {
	var jobs []job
	if err := json.NewDecoder(os.Stdin).Decode(&jobs); err != nil {
		panic(err)
	}
	date := template.FuncMap{"currentDate": func() string { return "2025-01-02" }}
	made := []string{}
	for _, j := range jobs {
		var text strings.Builder
		parsed := template.Must(template.New("").Funcs(date).Parse(j.Template))
		if err := parsed.Execute(&text, map[string]any{"System": j.System, "Messages": j.Messages}); err != nil {
			panic(err)
		}
		made = append(made, text.String())
	}
	json.NewEncoder(os.Stdout).Encode(made)
}
