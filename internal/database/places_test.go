package database

import "testing"

func TestPlaces(t *testing.T) {
	if got, want := Places(2, 3), "($3, $4, $5)"; got != want {
		t.Errorf("Places(2, 3) = %q, want %q", got, want)
	}
	if got, want := Rows(2, 2), "($1, $2), ($3, $4)"; got != want {
		t.Errorf("Rows(2, 2) = %q, want %q", got, want)
	}
}
