use crate::lab::Lab;
use std::time::Instant;
#[test]
#[ignore = "to play"]
fn play() {
    let t = Instant::now();
    let Some(mut lab) = Lab::make("play") else { return };
    println!("boot {:?}", t.elapsed());
    lab.new_r0();
    println!("r0 {:?}", t.elapsed());
    let text = std::fs::read_to_string(std::env::var("PLAY").unwrap()).unwrap();
    for step in text.split("\n--\n") {
        let (head, body) = step.split_once("\n").unwrap_or((step.trim(), ""));
        let w: Vec<&str> = head.split(' ').collect();
        match w[0] {
            "1" | "2" => {
                let a = lab.run(w[0].parse().unwrap(), body);
                println!("=== {:?} node{} $ {}\n{}[exit {}]", t.elapsed(), w[0], body.trim(), a.text, a.code);
            }
            "cable" => { lab.cable(w[1].parse().unwrap(), if w[2] == "eth0" { crate::guest::Cable::Public } else { crate::guest::Cable::Crossover }, w[3] == "on"); println!("=== cable"); }
            "off" => lab.power_off(w[1].parse().unwrap()),
            "on" => lab.switch_on(&[w[1].parse().unwrap()]),
            _ => panic!("{head}"),
        }
    }
}
