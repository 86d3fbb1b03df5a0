"""Languages without spaces between words, with other alphabets and written from right to left: one command each."""

import itertools
import json
import random
from pathlib import Path

import pytest

from textlstm.cli.main import main

pytestmark = pytest.mark.long

# Sentences are a time, a subject and what it does; each list goes with all others of its topic.
TIMES_SUBJECTS_DEEDS = {
    "zh": (
        ("昨天", "今天早上", "上个周末", "去年冬天", "比赛前", "会议之后"),
        {
            "sport": (
                ("球队", "门将", "教练", "年轻的前锋", "主场球迷", "队长"),
                ("踢进了两个球", "赢得了决赛", "在场上跑得很快", "接受了体能训练", "输掉了比赛", "庆祝了冠军"),
            ),
            "money": (
                ("银行", "投资者", "这家公司", "财政部长", "股票市场", "会计师"),
                ("提高了利率", "公布了季度利润", "减少了开支", "购买了债券", "遭受了损失", "批准了新的贷款"),
            ),
        },
    ),
    "ja": (
        ("昨日", "今朝", "先週末", "去年の冬に", "試合の前に", "会議の後で"),
        {
            "sport": (
                ("チームは", "ゴールキーパーは", "監督は", "若い選手は", "地元のファンは", "主将は"),
                ("二点を決めた", "決勝戦に勝った", "速く走った", "練習を続けた", "試合に負けた", "優勝を祝った"),
            ),
            "money": (
                ("銀行は", "投資家は", "この会社は", "財務大臣は", "株式市場は", "会計士は"),
                ("金利を上げた", "利益を発表した", "支出を減らした", "債券を買った", "損失を出した", "融資を認めた"),
            ),
        },
    ),
    "th": (
        ("เมื่อวาน", "เช้านี้", "สุดสัปดาห์ที่แล้ว", "ปีที่แล้ว", "ก่อนการแข่งขัน", "หลังการประชุม"),
        {
            "sport": (
                ("ทีม", "ผู้รักษาประตู", "โค้ช", "กองหน้าหนุ่ม", "แฟนบอล", "กัปตัน"),
                ("ยิงได้สองประตู", "ชนะรอบชิงชนะเลิศ", "วิ่งเร็วมาก", "ฝึกซ้อมอย่างหนัก", "แพ้การแข่งขัน", "ฉลองแชมป์"),
            ),
            "money": (
                ("ธนาคาร", "นักลงทุน", "บริษัทนี้", "รัฐมนตรีคลัง", "ตลาดหุ้น", "นักบัญชี"),
                ("ขึ้นดอกเบี้ย", "ประกาศผลกำไร", "ลดค่าใช้จ่าย", "ซื้อพันธบัตร", "ขาดทุนหนัก", "อนุมัติเงินกู้"),
            ),
        },
    ),
    "ko": (
        ("어제", "오늘 아침", "지난 주말", "작년 겨울에", "경기 전에", "회의 후에"),
        {
            "sport": (
                ("팀이", "골키퍼가", "감독이", "젊은 공격수가", "홈 팬들이", "주장이"),
                (
                    "두 골을 넣었다",
                    "결승전에서 이겼다",
                    "아주 빨리 뛰었다",
                    "훈련을 계속했다",
                    "경기에서 졌다",
                    "우승을 축하했다",
                ),
            ),
            "money": (
                ("은행이", "투자자가", "이 회사가", "재무장관이", "주식 시장이", "회계사가"),
                (
                    "금리를 올렸다",
                    "이익을 발표했다",
                    "지출을 줄였다",
                    "채권을 샀다",
                    "손실을 입었다",
                    "대출을 승인했다",
                ),
            ),
        },
    ),
    "ar": (
        ("أمس", "هذا الصباح", "في نهاية الأسبوع", "في الشتاء الماضي", "قبل المباراة", "بعد الاجتماع"),
        {
            "sport": (
                ("الفريق", "حارس المرمى", "المدرب", "المهاجم الشاب", "المشجع", "القائد"),
                ("سجل هدفين", "فاز بالنهائي", "ركض بسرعة", "واصل التدريب", "خسر المباراة", "احتفل بالبطولة"),
            ),
            "money": (
                ("البنك", "المستثمر", "صاحب الشركة", "وزير المالية", "مدير السوق", "المحاسب"),
                ("رفع سعر الفائدة", "أعلن الأرباح", "خفض النفقات", "اشترى السندات", "تكبد خسائر", "وافق على القرض"),
            ),
        },
    ),
    "ru": (
        ("вчера", "сегодня утром", "в выходные", "прошлой зимой", "перед матчем", "после встречи"),
        {
            "sport": (
                ("клуб", "вратарь", "тренер", "молодой нападающий", "местный болельщик", "капитан"),
                (
                    "забил два гола",
                    "выиграл финал",
                    "быстро бежал",
                    "продолжил тренировку",
                    "проиграл игру",
                    "отметил победу",
                ),
            ),
            "money": (
                ("банк", "инвестор", "директор компании", "министр финансов", "рынок акций", "бухгалтер"),
                (
                    "повысил ставку",
                    "объявил о прибыли",
                    "сократил расходы",
                    "купил облигации",
                    "понёс убытки",
                    "одобрил кредит",
                ),
            ),
        },
    ),
}
WITHOUT_SPACES = ("zh", "ja", "th")


def _rows(language: str) -> list[tuple[str, str]]:
    """Return 240 different sentences of two topics, mixed."""
    times, topics = TIMES_SUBJECTS_DEEDS[language]
    space = "" if language in WITHOUT_SPACES else " "
    rows = []
    for topic, (subjects, deeds) in topics.items():
        sentences = [space.join(parts) for parts in itertools.product(times, subjects, deeds)]
        rows += [(sentence, topic) for sentence in random.Random(1).sample(sentences, 120)]
    return random.Random(2).sample(rows, len(rows))


def _write(path: Path, rows: list[tuple[str, str]]) -> Path:
    lines = [json.dumps({"text": text, "label": label}, ensure_ascii=False) for text, label in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("language", TIMES_SUBJECTS_DEEDS)
def test_a_language_trains_evaluates_and_labels(language: str, tmp_path: Path) -> None:
    rows = _rows(language)
    assert len(rows) == 240
    train, test = _write(tmp_path / "train.jsonl", rows[:180]), _write(tmp_path / "test.jsonl", rows[180:])
    model = tmp_path / "model"
    shared = ["tracking=off", "evaluation.report=false"]
    settings = [f"text.language={language}", f"prepared_dir={tmp_path / 'prepared'}", f"output_dir={model}"]
    assert main(["train", "data=files", f"data.train={train}", f"data.test={test}", *settings, *shared]) == 0
    metrics = json.loads((tmp_path / "model-evaluation" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["accuracy"] >= 0.95

    output = tmp_path / "evaluation"
    stored = [f"model_dir={model}", f"prepared_dir={tmp_path / 'prepared'}", f"output_dir={output}"]
    assert main(["evaluate", "data=files", f"data.test={test}", *stored, *shared]) == 0
    again = json.loads((output / "metrics.json").read_text(encoding="utf-8"))
    assert again["accuracy"] == metrics["accuracy"]

    labelled = tmp_path / "labelled.jsonl"
    assert main(["label", f"model_dir={model}", f"input={test}", f"output={labelled}", "tracking=off"]) == 0
    given = [json.loads(line) for line in labelled.read_text(encoding="utf-8").splitlines()]
    right = [row["predicted_label"] == label for row, (_, label) in zip(given, rows[180:], strict=True)]
    assert sum(right) / len(right) == pytest.approx(metrics["accuracy"])
