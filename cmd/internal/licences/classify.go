package licences

import (
	"slices"
	"strings"
)

// A phrase is what only the text of one licence says, in lower case and with single blanks.
type phrase struct{ kind, says string }

// phrases are those of the licences that are met. The GNU ones are here to be found, not
// to be allowed; the MPL names them too, with a comma before the version.
func phrases() []phrase {
	return []phrase{
		{"AGPL-3.0", "gnu affero general public license version 3"},
		{"Apache-2.0", "apache license version 2.0, january 2004"},
		{"Apache-2.0", "licensed under the apache license, version 2.0"},
		{"BSD-2-Clause", "redistribution and use in source and binary forms"},
		{"GPL", "gnu general public license version"},
		{"GPL", "under the terms of the gnu general public license"},
		{"ISC", "permission to use, copy, modify, and distribute this software for any purpose with or without fee is hereby granted"},
		{"ISC", "permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted"},
		{"LGPL", "gnu lesser general public license version"},
		{"LGPL", "gnu library general public license version"},
		{"MIT", "permission is hereby granted, free of charge, to any person obtaining a copy of this software"},
		{"MPL-2.0", "mozilla public license version 2.0"},
		{"MPL-2.0", "mozilla public license, version 2.0"},
		{"Public domain", "has been dedicated to the public domain by the authors"},
		{"Unlicense", "this is free and unencumbered software released into the public domain"},
	}
}

// Classify returns the SPDX identifiers of the licences whose text a file has. The two
// forms of the BSD licence differ in a clause that the longer one adds.
func Classify(text []byte) []string {
	marks := strings.NewReplacer("#", " ", "*", " ", "//", " ")
	plain := strings.Join(strings.Fields(strings.ToLower(marks.Replace(string(text)))), " ")
	var kinds []string
	for _, p := range phrases() {
		if !strings.Contains(plain, p.says) {
			continue
		}
		kind := p.kind
		if kind == "BSD-2-Clause" && strings.Contains(plain, "be used to endorse or promote products") {
			kind = "BSD-3-Clause"
		}
		if !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// Forbidden returns those of the work's licences that may not be in a program under
// Apache-2.0 which is passed on without conditions of its own, or what is missing.
func (w Work) Forbidden() []string {
	if len(w.Kinds) == 0 {
		return []string{"no licence that is known"}
	}
	allowed := []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0", "Public domain", "Unlicense"}
	return slices.DeleteFunc(slices.Clone(w.Kinds), func(kind string) bool { return slices.Contains(allowed, kind) })
}
