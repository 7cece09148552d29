package companyos.documents.residency_test

import rego.v1

import data.companyos.documents.residency

verdict(resource) := found if {
	found := residency.deny with input as {"action": "read", "resource": resource}
}

test_personal_data_outside_the_eu_is_denied if {
	verdict({"region": "us", "contains_pii": true}) == {"residency.eu"}
}

test_personal_data_in_the_eu_is_fine if {
	verdict({"region": "eu", "contains_pii": true}) == set()
}

test_other_data_may_be_anywhere if {
	verdict({"region": "us", "contains_pii": false}) == set()
}

test_data_that_says_nothing_counts_as_personal if {
	verdict({"region": "us"}) == {"residency.eu"}
}

test_only_a_plain_no_means_no_personal_data if {
	every claim in [null, 0, "", "false", [], {}, true] {
		verdict({"region": "us", "contains_pii": claim}) == {"residency.eu"}
	}
}

test_a_resource_without_region_is_outside if {
	verdict({"contains_pii": true}) == {"residency.eu"}
}

test_a_region_that_only_looks_like_the_eu_is_outside if {
	every region in ["EU", "eu ", "europe", null, true, ["eu"], {"eu": true}] {
		verdict({"region": region, "contains_pii": true}) == {"residency.eu"}
	}
}

test_without_a_resource_it_is_denied if {
	residency.deny == {"residency.eu"} with input as {"action": "read"}
}
