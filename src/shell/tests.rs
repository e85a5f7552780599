//! Lines against the elements that crmsh 4.4 made of them, and back.

use super::draft::{Draft, Mode};
use super::parse::{self, Statement};
use super::print;
use crate::cib::edit::Origin;
use crate::cib::{Cib, Edit, Element, schema};
use proptest::prelude::*;

/// The element with its attributes in the order of the alphabet: XML gives that order no meaning.
fn sorted(e: &Element) -> Element {
    let mut e = e.clone();
    e.attributes.sort();
    e.children = e.children.iter().map(sorted).collect();
    e
}

fn element_of(line: &str) -> Element {
    match parse::statement(line) {
        Ok(Some(Statement::Object(o))) => {
            let mut e = o.element;
            e.children
                .extend(o.members.iter().map(|m| Element::new("member").with("id", &m.id)));
            e
        }
        other => panic!("{line}: {other:?}"),
    }
}

/// A line, the XML of it as crmsh 4.4 and the classic shell write it, and what `show` prints where it differs from the line.
#[rustfmt::skip]
const OBJECTS: &[(&str, &str, &str)] = &[
    ("primitive vip ocf:heartbeat:IPaddr2 params ip=10.1.6.100 nic=br100 op monitor interval=3s",
     "<primitive id='vip' class='ocf' provider='heartbeat' type='IPaddr2'><instance_attributes id='vip-instance_attributes'><nvpair name='ip' value='10.1.6.100' id='vip-instance_attributes-ip'/><nvpair name='nic' value='br100' id='vip-instance_attributes-nic'/></instance_attributes><operations><op name='monitor' interval='3s' id='vip-monitor-3s'/></operations></primitive>",
     "primitive vip IPaddr2 \\\n\tparams ip=10.1.6.100 nic=br100 \\\n\top monitor interval=3s"),
    ("primitive www lsb:apache2 op monitor interval=\"10s\"",
     "<primitive id='www' class='lsb' type='apache2'><operations><op name='monitor' interval='10s' id='www-monitor-10s'/></operations></primitive>",
     "primitive www lsb:apache2 \\\n\top monitor interval=10s"),
    ("primitive  webip ocf:heartbeat:IPaddr  params ip=192.168.1.100  ",
     "<primitive id='webip' class='ocf' provider='heartbeat' type='IPaddr'><instance_attributes id='webip-instance_attributes'><nvpair name='ip' value='192.168.1.100' id='webip-instance_attributes-ip'/></instance_attributes></primitive>",
     "primitive webip IPaddr \\\n\tparams ip=192.168.1.100"),
    ("primitive webserver lsb:httpd", "<primitive id='webserver' class='lsb' type='httpd'/>", ""),
    ("primitive old heartbeat:IPaddr params 1=10.0.0.1",
     "<primitive id='old' class='heartbeat' type='IPaddr'><instance_attributes id='old-instance_attributes'><nvpair name='1' value='10.0.0.1' id='old-instance_attributes-1'/></instance_attributes></primitive>",
     "primitive old heartbeat:IPaddr \\\n\tparams 1=10.0.0.1"),
    ("primitive d1 Dummy meta target-role=Stopped",
     "<primitive id='d1' class='ocf' provider='heartbeat' type='Dummy'><meta_attributes id='d1-meta_attributes'><nvpair name='target-role' value='Stopped' id='d1-meta_attributes-target-role'/></meta_attributes></primitive>",
     "primitive d1 Dummy \\\n\tmeta target-role=Stopped"),
    ("primitive d1 ip=1 Dummy", "", ""),
    ("primitive d1 Dummy fake=1",
     "<primitive id='d1' class='ocf' provider='heartbeat' type='Dummy'><instance_attributes id='d1-instance_attributes'><nvpair name='fake' value='1' id='d1-instance_attributes-fake'/></instance_attributes></primitive>",
     "primitive d1 Dummy \\\n\tparams fake=1"),
    ("primitive fs Filesystem params device=\"/dev/a b\" op start timeout=60s op monitor interval=20s OCF_CHECK_LEVEL=10",
     "<primitive id='fs' class='ocf' provider='heartbeat' type='Filesystem'><instance_attributes id='fs-instance_attributes'><nvpair name='device' value='/dev/a b' id='fs-instance_attributes-device'/></instance_attributes><operations><op name='start' timeout='60s' interval='0' id='fs-start-0'/><op name='monitor' interval='20s' id='fs-monitor-20s'><instance_attributes id='fs-monitor-20s-instance_attributes'><nvpair name='OCF_CHECK_LEVEL' value='10' id='fs-monitor-20s-instance_attributes-OCF_CHECK_LEVEL'/></instance_attributes></op></operations></primitive>",
     "primitive fs Filesystem \\\n\tparams device=\"/dev/a b\" \\\n\top start timeout=60s interval=0 \\\n\top monitor interval=20s \\\n\top_params OCF_CHECK_LEVEL=10"),
    ("primitive b ocf:pacemaker:Dummy op monitor interval=10s role=Master op monitor interval=11s role=Slave op monitor interval=10s",
     "<primitive id='b' class='ocf' provider='pacemaker' type='Dummy'><operations><op name='monitor' interval='10s' role='Master' id='b-monitor-10s'/><op name='monitor' interval='11s' role='Slave' id='b-monitor-11s'/><op name='monitor' interval='10s' id='b-monitor-10s-0'/></operations></primitive>",
     "primitive b ocf:pacemaker:Dummy \\\n\top monitor interval=10s role=Master \\\n\top monitor interval=11s role=Slave \\\n\top monitor interval=10s"),
    ("primitive d2 Dummy operations $id=d2-ops op monitor interval=5",
     "<primitive id='d2' class='ocf' provider='heartbeat' type='Dummy'><operations id='d2-ops'><op name='monitor' interval='5' id='d2-ops-monitor-5'/></operations></primitive>",
     "primitive d2 Dummy \\\n\toperations $id=d2-ops \\\n\top monitor interval=5"),
    ("primitive vip Dummy params $id=foo fake=\"a\\\"b\" meta $id=\"bar\" priority=3",
     "<primitive id='vip' class='ocf' provider='heartbeat' type='Dummy'><instance_attributes id='foo'><nvpair name='fake' value='a&quot;b' id='foo-fake'/></instance_attributes><meta_attributes id='bar'><nvpair name='priority' value='3' id='bar-priority'/></meta_attributes></primitive>",
     "primitive vip Dummy \\\n\tparams $id=foo fake=\"a\\\"b\" \\\n\tmeta $id=bar priority=3"),
    ("primitive q1 Dummy params fake=1 params fake=2",
     "<primitive id='q1' class='ocf' provider='heartbeat' type='Dummy'><instance_attributes id='q1-instance_attributes'><nvpair name='fake' value='1' id='q1-instance_attributes-fake'/></instance_attributes><instance_attributes id='q1-instance_attributes-0'><nvpair name='fake' value='2' id='q1-instance_attributes-0-fake'/></instance_attributes></primitive>",
     "primitive q1 Dummy \\\n\tparams fake=1 \\\n\tparams fake=2"),
    ("primitive ft @tmpl params fake=3",
     "<primitive id='ft' template='tmpl'><instance_attributes id='ft-instance_attributes'><nvpair name='fake' value='3' id='ft-instance_attributes-fake'/></instance_attributes></primitive>",
     "primitive ft @tmpl \\\n\tparams fake=3"),
    ("rsc_template tmpl Dummy op monitor interval=7",
     "<template id='tmpl' class='ocf' provider='heartbeat' type='Dummy'><operations><op name='monitor' interval='7' id='tmpl-monitor-7'/></operations></template>",
     "rsc_template tmpl Dummy \\\n\top monitor interval=7"),
    ("primitive s1 stonith:external/ssh params hostlist=\"a b\"",
     "<primitive id='s1' class='stonith' type='external/ssh'><instance_attributes id='s1-instance_attributes'><nvpair name='hostlist' value='a b' id='s1-instance_attributes-hostlist'/></instance_attributes></primitive>",
     "primitive s1 stonith:external/ssh \\\n\tparams hostlist=\"a b\""),
    ("group  web  webip  webserver", "<group id='web'><member id='webip'/><member id='webserver'/></group>", "group web webip webserver"),
    ("clone cl d1 meta interleave=true", "<clone id='cl'><meta_attributes id='cl-meta_attributes'><nvpair name='interleave' value='true' id='cl-meta_attributes-interleave'/></meta_attributes><member id='d1'/></clone>", "clone cl d1 \\\n\tmeta interleave=true"),
    ("ms m st meta master-max=1", "<master id='m'><meta_attributes id='m-meta_attributes'><nvpair name='master-max' value='1' id='m-meta_attributes-master-max'/></meta_attributes><member id='st'/></master>", "ms m st \\\n\tmeta master-max=1"),
    ("master m st", "<master id='m'><member id='st'/></master>", "ms m st"),
    ("location compute-1 vip 200: compute-1", "<rsc_location id='compute-1' rsc='vip' score='200' node='compute-1'/>", ""),
    ("location l vip -infinity: n1", "<rsc_location id='l' rsc='vip' score='-INFINITY' node='n1'/>", "location l vip -inf: n1"),
    ("location w web rule -inf: not_defined pingd or pingd lte 0",
     "<rsc_location id='w' rsc='web'><rule score='-INFINITY' boolean-op='or' id='w-rule'><expression operation='not_defined' attribute='pingd' id='w-rule-expression'/><expression operation='lte' attribute='pingd' value='0' id='w-rule-expression-0'/></rule></rsc_location>",
     "location w web \\\n\trule -inf: not_defined pingd or pingd lte 0"),
    ("location lp y rule pingd: defined pingd",
     "<rsc_location id='lp' rsc='y'><rule score-attribute='pingd' id='lp-rule'><expression operation='defined' attribute='pingd' id='lp-rule-expression'/></rule></rsc_location>",
     "location lp y \\\n\trule pingd: defined pingd"),
    ("location m ms rule $role=Master 100: #uname eq node2",
     "<rsc_location id='m' rsc='ms'><rule role='Master' score='100' id='m-rule'><expression operation='eq' attribute='#uname' value='node2' id='m-rule-expression'/></rule></rsc_location>",
     "location m ms \\\n\trule $role=Master 100: #uname eq node2"),
    ("location l5 gg rule $id=myrule 50: #uname eq n1 and a lt b rule inf: x number:gt 3",
     "<rsc_location id='l5' rsc='gg'><rule id='myrule' score='50' boolean-op='and'><expression operation='eq' attribute='#uname' value='n1' id='myrule-expression'/><expression operation='lt' attribute='a' value='b' id='myrule-expression-0'/></rule><rule score='INFINITY' id='l5-rule'><expression operation='gt' attribute='x' type='number' value='3' id='l5-rule-expression'/></rule></rsc_location>",
     "location l5 gg \\\n\trule $id=myrule 50: #uname eq n1 and a lt b \\\n\trule inf: x number:gt 3"),
    ("location l6 { a b } inf: n1", "<rsc_location id='l6' score='INFINITY' node='n1'><resource_set id='l6-0'><resource_ref id='a'/><resource_ref id='b'/></resource_set></rsc_location>", ""),
    ("location l7 /d.*/ 100: n1", "<rsc_location id='l7' rsc-pattern='d.*' score='100' node='n1'/>", ""),
    ("location l8 gg rule inf: date lt 2010-01-01", "<rsc_location id='l8' rsc='gg'><rule score='INFINITY' id='l8-rule'><date_expression operation='lt' end='2010-01-01' id='l8-rule-expression'/></rule></rsc_location>", "location l8 gg \\\n\trule inf: date lt 2010-01-01"),
    ("location l9 gg rule inf: date in start=2010-01-01 end=2011-01-01", "<rsc_location id='l9' rsc='gg'><rule score='INFINITY' id='l9-rule'><date_expression operation='in_range' start='2010-01-01' end='2011-01-01' id='l9-rule-expression'/></rule></rsc_location>", "location l9 gg \\\n\trule inf: date in start=2010-01-01 end=2011-01-01"),
    ("location l10 gg rule inf: date spec hours=9-16 weekdays=1-5", "<rsc_location id='l10' rsc='gg'><rule score='INFINITY' id='l10-rule'><date_expression operation='date_spec' id='l10-rule-expression'><date_spec hours='9-16' weekdays='1-5' id='l10-rule-expression-date_spec'/></date_expression></rule></rsc_location>", "location l10 gg \\\n\trule inf: date spec hours=9-16 weekdays=1-5"),
    ("location l13 gg rule date in start=2010-01-01 years=3", "<rsc_location id='l13' rsc='gg'><rule score='INFINITY' id='l13-rule'><date_expression operation='in_range' start='2010-01-01' id='l13-rule-expression'><duration years='3' id='l13-rule-expression-duration'/></date_expression></rule></rsc_location>", "location l13 gg \\\n\trule inf: date in start=2010-01-01 years=3"),
    ("location l11 gg role=Started inf: n1", "<rsc_location id='l11' rsc='gg' role='Started' score='INFINITY' node='n1'/>", ""),
    ("location l12 a resource-discovery=never inf: n1", "<rsc_location id='l12' rsc='a' resource-discovery='never' score='INFINITY' node='n1'/>", ""),
    ("colocation vip_and_www inf: www vip", "<rsc_colocation id='vip_and_www' score='INFINITY' rsc='www' with-rsc='vip'/>", ""),
    ("collocation c INFINITY: web ms_st:Master", "<rsc_colocation id='c' score='INFINITY' rsc='web' with-rsc='ms_st' with-rsc-role='Master'/>", "colocation c inf: web ms_st:Master"),
    ("colocation s inf: a b c", "<rsc_colocation id='s' score='INFINITY'><resource_set id='s-0'><resource_ref id='a'/><resource_ref id='b'/><resource_ref id='c'/></resource_set></rsc_colocation>", ""),
    ("colocation c3 inf: ( a b ) vip", "<rsc_colocation id='c3' score='INFINITY'><resource_set sequential='false' id='c3-0'><resource_ref id='a'/><resource_ref id='b'/></resource_set><resource_set id='c3-1'><resource_ref id='vip'/></resource_set></rsc_colocation>", ""),
    ("colocation c4 -10: a b node-attribute=rack", "<rsc_colocation id='c4' score='-10' node-attribute='rack' rsc='a' with-rsc='b'/>", ""),
    ("colocation c5 inf: a:Started [ b vip ]", "<rsc_colocation id='c5' score='INFINITY'><resource_set role='Started' id='c5-0'><resource_ref id='a'/></resource_set><resource_set require-all='false' sequential='false' id='c5-1'><resource_ref id='b'/><resource_ref id='vip'/></resource_set></rsc_colocation>", ""),
    ("colocation c6 inf: a b sequential=false", "<rsc_colocation id='c6' score='INFINITY'><resource_set sequential='false' id='c6-0'><resource_ref id='a'/><resource_ref id='b'/></resource_set></rsc_colocation>", "colocation c6 inf: ( a b )"),
    ("order vip_and_www_order inf: vip www", "<rsc_order id='vip_and_www_order' kind='Mandatory' first='vip' then='www'/>", "order vip_and_www_order Mandatory: vip www"),
    ("order o mandatory: vip www", "<rsc_order id='o' kind='Mandatory' first='vip' then='www'/>", "order o Mandatory: vip www"),
    ("order o inf: ms_st:promote web:start", "<rsc_order id='o' kind='Mandatory' first='ms_st' first-action='promote' then='web' then-action='start'/>", "order o Mandatory: ms_st:promote web:start"),
    ("order o 0: a b symmetrical=false", "<rsc_order id='o' kind='Optional' symmetrical='false' first='a' then='b'/>", "order o Optional: a b symmetrical=false"),
    ("order o5 500: a b", "<rsc_order id='o5' kind='Mandatory' first='a' then='b'/>", "order o5 Mandatory: a b"),
    ("order o8 a b", "<rsc_order id='o8' first='a' then='b'/>", ""),
    ("order s inf: ( d1 vip ) y1", "<rsc_order id='s' kind='Mandatory'><resource_set sequential='false' id='s-0'><resource_ref id='d1'/><resource_ref id='vip'/></resource_set><resource_set id='s-1'><resource_ref id='y1'/></resource_set></rsc_order>", "order s Mandatory: ( d1 vip ) y1"),
    ("order s inf: [ d1 y2 ] ms:promote y1:start", "<rsc_order id='s' kind='Mandatory'><resource_set require-all='false' sequential='false' id='s-0'><resource_ref id='d1'/><resource_ref id='y2'/></resource_set><resource_set action='promote' id='s-1'><resource_ref id='ms'/></resource_set><resource_set action='start' id='s-2'><resource_ref id='y1'/></resource_set></rsc_order>", "order s Mandatory: [ d1 y2 ] ms:promote y1:start"),
    ("order o6 Serialize: a b cl", "<rsc_order id='o6' kind='Serialize'><resource_set id='o6-0'><resource_ref id='a'/><resource_ref id='b'/><resource_ref id='cl'/></resource_set></rsc_order>", ""),
    ("rsc_ticket t1 tick: a b:Master loss-policy=fence", "<rsc_ticket id='t1' ticket='tick' loss-policy='fence'><resource_set id='t1-0'><resource_ref id='a'/></resource_set><resource_set role='Master' id='t1-1'><resource_ref id='b'/></resource_set></rsc_ticket>", ""),
    ("tag tg: a b", "<tag id='tg'><obj_ref id='a'/><obj_ref id='b'/></tag>", "tag tg a b"),
    ("fencing_topology n1: s1 n2: s1,s1 s2", "<fencing-topology><fencing-level target='n1' index='1' devices='s1' id='fencing'/><fencing-level target='n2' index='1' devices='s1,s1' id='fencing-0'/><fencing-level target='n2' index='2' devices='s2' id='fencing-1'/></fencing-topology>", "fencing_topology \\\n\tn1: s1 \\\n\tn2: s1,s1 s2"),
    ("property stonith-enabled=false", "<cluster_property_set id='cib-bootstrap-options'><nvpair name='stonith-enabled' value='false' id='cib-bootstrap-options-stonith-enabled'/></cluster_property_set>", "property cib-bootstrap-options: \\\n\tstonith-enabled=false"),
    ("property default-action-timeout=60", "<cluster_property_set id='cib-bootstrap-options'><nvpair name='default-action-timeout' value='60' id='cib-bootstrap-options-default-action-timeout'/></cluster_property_set>", "property cib-bootstrap-options: \\\n\tdefault-action-timeout=60"),
    ("property $id=\"other\" p1=v1", "<cluster_property_set id='other'><nvpair name='p1' value='v1' id='other-p1'/></cluster_property_set>", "property other: \\\n\tp1=v1"),
    ("rsc_defaults migration-threshold=1", "<rsc_defaults><meta_attributes id='rsc-options'><nvpair name='migration-threshold' value='1' id='rsc-options-migration-threshold'/></meta_attributes></rsc_defaults>", "rsc_defaults rsc-options: \\\n\tmigration-threshold=1"),
    ("op_defaults timeout=60", "<op_defaults><meta_attributes id='op-options'><nvpair name='timeout' value='60' id='op-options-timeout'/></meta_attributes></op_defaults>", "op_defaults op-options: \\\n\ttimeout=60"),
    ("node n1 attributes standby=on", "<node uname='n1'><instance_attributes id='nodes-n1'><nvpair name='standby' value='on' id='nodes-n1-standby'/></instance_attributes></node>", ""),
    ("node $id=\"7f1d\" n1:ping", "<node id='7f1d' uname='n1' type='ping'/>", "node 7f1d: n1:ping"),
    ("node 1: compute-1", "<node id='1' uname='compute-1'/>", ""),
    ("xml <primitive id='p' class='lsb' type='x'/>", "<primitive id='p' class='lsb' type='x'/>", "primitive p lsb:x"),
];

#[test]
fn a_line_becomes_the_element_that_the_classic_shell_made_of_it() {
    for (line, xml, _) in OBJECTS.iter().filter(|(_, xml, _)| !xml.is_empty()) {
        let expected = Element::parse(xml).unwrap();
        assert_eq!(
            sorted(&element_of(line)).to_bare(),
            sorted(&expected).to_bare(),
            "{line}"
        );
    }
}

#[test]
fn an_element_is_shown_as_the_classic_shell_shows_it() {
    for (line, _, shown) in OBJECTS
        .iter()
        .filter(|(line, xml, _)| !xml.is_empty() && !line.starts_with("node n1"))
    {
        let mut e = element_of(line);
        for child in e.children.iter_mut().filter(|c| c.name == "member") {
            child.name = "primitive".to_owned();
        }
        let (section, e) = match &*e.name {
            "rsc_defaults" | "op_defaults" => (e.name.clone(), e.children.remove(0)),
            name => (parse::section_of(name).unwrap().to_owned(), e),
        };
        let expected = if shown.is_empty() { line } else { shown };
        assert_eq!(print::object(&section, &e), *expected, "{line}");
    }
}
