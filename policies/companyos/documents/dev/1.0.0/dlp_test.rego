package companyos.documents.dlp_test

import rego.v1

import data.companyos.documents.dlp

asked(action, has, needs) := found if {
	request := {
		"subject": {"attributes": {"clearance": has}},
		"action": action,
		"resource": {"type": "document", "required_clearance": needs},
	}
	found := {"deny": dlp.deny, "obligations": dlp.obligations} with input as request
}

mask := {{"id": "mask_fields", "policy": "dlp.redaction", "fields": ["ssn", "email", "date_of_birth"]}}

masked := {"deny": set(), "obligations": mask}

refused := {"deny": {"dlp.clearance"}, "obligations": mask}

untouched := {"deny": set(), "obligations": set()}

levels := ["low", "medium", "high", "top"]

strange := [null, true, 2, "", "HIGH", "alien", ["high"], {"level": "high"}]

test_who_is_cleared_does_everything_unmasked if {
	found := {asked(action, levels[has], levels[needs]) |
		some action in ["read", "write", "delete", "export", "transfer"]
		some has in [0, 1, 2, 3]
		some needs in [0, 1, 2, 3]
		needs <= has
	}
	found == {untouched}
}

test_who_is_not_cleared_reads_with_fields_masked if {
	found := {asked("read", levels[has], levels[needs]) |
		some has in [0, 1, 2, 3]
		some needs in [0, 1, 2, 3]
		needs > has
	}
	found == {masked}
}

test_who_is_not_cleared_does_nothing_but_read if {
	every action in ["write", "delete", "export", "transfer"] {
		asked(action, "low", "medium") == refused
	}
}

test_an_unknown_level_of_the_subject_is_below_all if {
	every has in strange {
		asked("read", has, "low") == masked
		asked("write", has, "low") == refused
	}
}

test_an_unknown_level_of_the_resource_is_above_all if {
	every needs in strange {
		asked("read", "top", needs) == masked
		asked("write", "top", needs) == refused
	}
}

test_missing_levels_are_unknown_levels if {
	dlp.obligations == mask with input as {"action": "read", "resource": {"type": "document"}}
	dlp.deny == {"dlp.clearance"} with input as {"action": "write", "resource": {"type": "document"}}
}

test_what_cannot_be_masked_is_not_read if {
	every kind in ["blueprint", null, 7, ["document"]] {
		dlp.deny == {"dlp.redaction"} with input as {"action": "read", "resource": {"type": kind}}
		dlp.obligations == set() with input as {"action": "read", "resource": {"type": kind}}
	}
}

test_without_a_resource_nothing_is_read if {
	dlp.deny == {"dlp.redaction"} with input as {"action": "read"}
}
