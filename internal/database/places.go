package database

import (
	"strconv"
	"strings"
)

// Places are the places of n arguments behind so many others, as a row of VALUES or a list of IN:
// Places(2, 3) is "($3, $4, $5)".
func Places(behind, n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = "$" + strconv.Itoa(behind+i+1)
	}
	return "(" + strings.Join(list, ", ") + ")"
}

// Rows are the places of so many rows of so many columns: Rows(2, 2) is "($1, $2), ($3, $4)".
func Rows(rows, columns int) string {
	list := make([]string, rows)
	for i := range list {
		list[i] = Places(i*columns, columns)
	}
	return strings.Join(list, ", ")
}
