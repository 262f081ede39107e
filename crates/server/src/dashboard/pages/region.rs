//! Where somebody lives, as two linked selects: the province, then a district of it.

use carebot_model::regions;
use maud::{Markup, html};

use super::super::visit::{Fields, Visit};

/// A province and a district of it, as far as they were chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Region {
    province: String,
    district: String,
}

impl Region {
    /// What a form says.
    pub fn of_fields(fields: &Fields) -> Self {
        Self { province: fields.text("province").to_owned(), district: fields.text("district").to_owned() }
    }

    /// What an address says today; nothing if it names no region that there is.
    pub fn of_address(address: Option<&str>) -> Self {
        address.and_then(regions::locate).map_or_else(Self::default, |region| Self {
            province: region.master.to_owned(),
            district: region.name.to_owned(),
        })
    }

    /// The districts of the province.
    fn districts(&self) -> impl Iterator<Item = &'static str> {
        regions::subs().iter().filter(|sub| sub.master == self.province).map(|sub| sub.name)
    }

    /// The address, once both were chosen and belong together.
    pub fn address(&self) -> Option<String> {
        self.districts().any(|name| name == self.district).then(|| format!("{} {}", self.province, self.district))
    }

    /// Whether a form was sent to see the districts of a province: it is to be shown again with them. Who presses the enter key in a
    /// form that is complete has sent it.
    pub fn is_choosing(&self, fields: &Fields) -> bool {
        fields.is_on("choose") && self.address().is_none()
    }

    /// The two selects, and the button between them that shows the districts.
    pub fn selects(&self, visit: &Visit) -> Markup {
        let none = visit.t("고르세요", "Choose");
        html! {
            label { (visit.t("시도", "Province"))
                select name="province" data-province {
                    option value="" { (none) }
                    @for master in regions::masters() {
                        option value=(master.name) selected[master.name == self.province] { (master.name) }
                    }
                }
            }
            button.button.quiet name="choose" value="province" formnovalidate { (visit.t("시군구 보기", "Show its districts")) }
            label { (visit.t("시군구", "District"))
                select name="district" data-choose=(none) {
                    option value="" { @if self.province.is_empty() { (visit.t("시도를 먼저 고르세요", "Choose the province first")) } @else { (none) } }
                    @for name in self.districts() { option value=(name) selected[name == self.district] { (name) } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(query: &str) -> (Region, bool) {
        let fields = Fields::parse(query.as_bytes());
        let region = Region::of_fields(&fields);
        let is_choosing = region.is_choosing(&fields);
        (region, is_choosing)
    }

    #[test]
    fn a_form_is_complete_once_the_district_belongs_to_the_province() {
        let (jongno, is_choosing) = region("province=서울특별시&district=종로구&choose=province");
        assert_eq!((jongno.address().as_deref(), is_choosing), (Some("서울특별시 종로구"), false));
        let (other, is_choosing) = region("province=경기도&district=종로구&choose=province");
        assert_eq!((other.address(), is_choosing), (None, true));
        let (none, is_choosing) = region("province=경기도&district=");
        assert_eq!((none.address(), is_choosing), (None, false));
    }

    #[test]
    fn an_address_is_shown_as_it_is_called_today() {
        assert_eq!(
            Region::of_address(Some("서울특별시 종로구 세종로 1")).address().as_deref(),
            Some("서울특별시 종로구")
        );
        assert_eq!(Region::of_address(Some("달나라 토끼구")), Region::default());
        assert_eq!(Region::of_address(None), Region::default());
    }
}
