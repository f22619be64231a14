"""Category words: which phrases, in five languages, name which groups of concepts.

The groups are Unicode's own (subgroups, keywords), so a category is a word with a rule.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from search_back.models.recipe.concepts import Concept


@dataclass(frozen=True, slots=True)
class Category:
    """`words` maps a language to phrases separated by `|`.

    A concept belongs if its subgroup or group is listed, or if it carries one of the English
    `keywords`; `within` narrows the keywords to subgroups that start with one of its prefixes.
    """

    words: dict[str, str]
    subgroups: Collection[str] = ()
    groups: Collection[str] = ()
    keywords: Collection[str] = ()
    within: tuple[str, ...] = ("",)

    def holds(self, concept: Concept) -> bool:
        """Whether the concept belongs to this category."""
        if concept.subgroup in self.subgroups or concept.group in self.groups:
            return True
        return concept.subgroup.startswith(self.within) and not set(self.keywords).isdisjoint(
            concept.keywords.get("en", ())
        )

    def phrases(self, language: str) -> list[str]:
        """The phrases of one language."""
        return [phrase for phrase in self.words.get(language, "").split("|") if phrase]


def _words(en: str, de: str = "", fr: str = "", es: str = "", ru: str = "") -> dict[str, str]:
    return {"en": en, "de": de, "fr": fr, "es": es, "ru": ru}


_MEALS = ("food-fruit", "food-vegetable", "food-prepared", "food-asian", "food-sweet")
_ANIMALS = ("animal-mammal", "animal-bird", "animal-amphibian", "animal-reptile",
            "animal-marine", "animal-bug")  # fmt: skip
_TRANSPORT = ("transport-ground", "transport-water", "transport-air")
_HANDS = ("hand-fingers-open", "hand-fingers-partial", "hand-single-finger",
          "hand-fingers-closed", "hands", "hand-prop")  # fmt: skip

CATEGORIES: tuple[Category, ...] = (
    Category(_words("food|something to eat|things to eat|meal", "Essen|etwas zu essen|Lebensmittel",
                    "nourriture|aliment|à manger", "comida|alimento|algo de comer",
                    "еда|пища|что-то поесть"), _MEALS),
    Category(_words("fruit|fruits|fresh fruit|a piece of fruit", "Obst|Frucht|Früchte",
                    "fruit|fruits|un fruit", "fruta|frutas", "фрукт|фрукты"), ("food-fruit",)),
    Category(_words("vegetable|vegetables|green vegetable|veggies", "Gemüse", "légume|légumes",
                    "verdura|verduras|hortaliza", "овощ|овощи"), ("food-vegetable",)),
    Category(_words("fast food|junk food|snack", "Fastfood|Imbiss", "restauration rapide",
                    "comida rápida", "фастфуд"), keywords=("fast", "hamburger", "fries", "hotdog",
                    "pizza", "taco", "burrito", "sandwich", "popcorn"), within=("food-prepared",)),
    Category(_words("asian food|japanese food|seafood dish", "asiatisches Essen",
                    "cuisine asiatique", "comida asiática", "азиатская еда"), ("food-asian",)),
    Category(_words("dessert|sweet|sweets|something sweet|sweet food|candy", "Süßigkeit|Nachtisch|"
                    "Süßes|Süßspeise", "dessert|sucrerie|sucreries", "postre|dulce|dulces",
                    "десерт|сладости|сладкое"), ("food-sweet",)),
    Category(_words("drink|drinks|beverage|something to drink", "Getränk|Getränke|etwas zu trinken",
                    "boisson|boissons|à boire", "bebida|bebidas|algo de beber",
                    "напиток|напитки"), ("drink",)),
    Category(_words("alcohol|alcoholic drink", "Alkohol|alkoholisches Getränk", "alcool",
                    "alcohol|bebida alcohólica", "алкоголь"),
             keywords=("alcohol", "beer", "wine", "cocktail", "champagne", "whisky", "sake"),
             within=("drink",)),
    Category(_words("dishes|cutlery|dishware|tableware", "Geschirr|Besteck", "vaisselle|couverts",
                    "vajilla|cubiertos", "посуда"), ("dishware",)),
    Category(_words("animal|animals|an animal|creature", "Tier|Tiere", "animal|animaux|un animal",
                    "animal|animales|un animal", "животное|животные|зверь"),
             (*_ANIMALS, "cat-face", "monkey-face")),
    Category(_words("mammal|wild animal|beast|furry animal", "Säugetier|wildes Tier",
                    "mammifère|animal sauvage", "mamífero|animal salvaje",
                    "млекопитающее|дикое животное"), ("animal-mammal",)),
    Category(_words("pet|pets|house pet", "Haustier", "animal de compagnie", "mascota",
                    "домашнее животное|питомец"), keywords=("pet",), within=("animal-",)),
    Category(_words("bird|birds|a bird", "Vogel|Vögel", "oiseau|oiseaux", "pájaro|ave|aves",
                    "птица|птицы"), ("animal-bird",)),
    Category(_words("reptile|reptiles", "Reptil|Reptilien", "reptile|reptiles", "reptil|reptiles",
                    "рептилия"), ("animal-reptile",)),
    Category(_words("sea animal|marine animal|sea creature|sea life|ocean animal",
                    "Meerestier|Meerestiere", "animal marin|animaux marins", "animal marino",
                    "морское животное"), ("animal-marine",)),
    Category(_words("fish|a fish", "Fisch", "poisson", "pez|pescado", "рыба"), keywords=("fish",),
             within=("animal-marine",)),
    Category(_words("insect|insects|bug|bugs", "Insekt|Insekten|Käfer", "insecte|insectes",
                    "insecto|insectos|bicho", "насекомое|насекомые|жук"), ("animal-bug",)),
    Category(_words("flower|flowers|a flower|blossom", "Blume|Blumen|Blüte", "fleur|fleurs",
                    "flor|flores", "цветок|цветы"), ("plant-flower",)),
    Category(_words("plant|plants|a plant", "Pflanze|Pflanzen", "plante|plantes", "planta|plantas",
                    "растение|растения"), ("plant-flower", "plant-other")),
    Category(_words("tree|trees|a tree", "Baum|Bäume", "arbre|arbres", "árbol|árboles",
                    "дерево|деревья"), keywords=("tree",), within=("plant-",)),
    Category(_words("nature", "Natur", "nature", "naturaleza", "природа"),
             groups=("Animals & Nature",)),
    Category(_words("transport|vehicle|vehicles|transportation|means of transport",
                    "Fahrzeug|Verkehrsmittel|Fahrzeuge|Transport", "véhicule|moyen de transport|"
                    "transport|véhicules", "vehículo|transporte|medio de transporte|vehículos",
                    "транспорт|транспортное средство"), _TRANSPORT),
    Category(_words("road vehicle|land vehicle|motor vehicle", "Straßenfahrzeug",
                    "véhicule terrestre", "vehículo terrestre", "наземный транспорт"),
             ("transport-ground",)),
    Category(_words("car|cars|a car", "Auto|Autos", "voiture|voitures", "coche|carro|auto",
                    "машина|автомобиль"), keywords=("car", "automobile"),
             within=("transport-ground",)),
    Category(_words("train|trains|railway vehicle", "Zug|Züge|Bahn", "train|trains", "tren|trenes",
                    "поезд"), keywords=("train", "tram", "railway"),
             within=("transport-ground",)),
    Category(_words("boat|ship|boats|ships|vessel|watercraft", "Schiff|Boot|Schiffe",
                    "bateau|navire|bateaux", "barco|buque|barcos", "корабль|лодка|судно"),
             keywords=("boat", "ship"), within=("transport-water",)),
    Category(_words("aircraft|flying machine|air transport", "Flugzeug|Luftfahrzeug",
                    "avion|aéronef", "avión|aeronave", "самолёт|воздушный транспорт"),
             keywords=("airplane", "aeroplane", "aircraft", "vehicle"), within=("transport-air",)),
    Category(_words("building|buildings|a building", "Gebäude|Haus", "bâtiment|édifice|bâtiments",
                    "edificio|edificios", "здание|здания|дом"),
             ("place-building", "place-religious")),
    Category(_words("landscape|scenery|view", "Landschaft", "paysage", "paisaje", "пейзаж"),
             ("place-geographic",)),
    Category(_words("place of worship|religious building", "Gotteshaus", "lieu de culte",
                    "lugar de culto", "храм"), ("place-religious",)),
    Category(_words("weather|weather forecast", "Wetter", "météo|temps qu'il fait", "clima|tiempo|"
                    "el tiempo", "погода"),
             keywords=("weather", "cloud", "rain", "snow", "sun", "wind", "storm", "lightning",
                       "tornado", "fog"), within=("sky-weather",)),
    Category(_words("bad weather|rainy weather|rain", "schlechtes Wetter|Regen",
                    "mauvais temps|pluie", "mal tiempo|lluvia", "плохая погода|дождь"),
             keywords=("rain", "storm", "thunder", "tornado"), within=("sky-weather",)),
    Category(_words("winter|winter weather|snow", "Winter|Schnee", "hiver|neige",
                    "invierno|nieve", "зима|снег"), keywords=("snow", "winter", "cold"),
             within=("sky-weather", "sport", "place", "event", "animal")),
    Category(_words("moon|phase of the moon", "Mond", "lune", "luna", "луна"), keywords=("moon",),
             within=("sky-weather",)),
    Category(_words("clock|time of day", "Uhr|Uhrzeit", "horloge|heure", "reloj|hora",
                    "часы|время"), ("time",)),
    Category(_words("sport|sports|sports equipment|game of sport", "Sport|Sportart", "sport|sports",
                    "deporte|deportes", "спорт|вид спорта"), ("sport", "person-sport")),
    Category(_words("ball|ball game|sport with a ball", "Ball|Ballspiel", "ballon|balle",
                    "pelota|balón", "мяч"), keywords=("ball",), within=("sport",)),
    Category(_words("person doing sport|athlete|someone exercising", "Sportler|Sportlerin",
                    "sportif|sportive|athlète", "deportista|atleta", "спортсмен"),
             ("person-sport",)),
    Category(_words("game|games|toy|play", "Spiel|Spielzeug", "jeu|jouet", "juego|juguete",
                    "игра|игрушка"), ("game",)),
    Category(_words("celebration|party|festivity|holiday", "Feier|Fest|Party", "fête|célébration",
                    "fiesta|celebración", "праздник|вечеринка"), ("event",),
             keywords=("celebration",), within=("event", "food-sweet")),
    Category(_words("medal|award|prize|trophy", "Medaille|Auszeichnung|Preis", "médaille|prix",
                    "medalla|premio", "медаль|награда|приз"), ("award-medal",)),
    Category(_words("art|arts and crafts", "Kunst", "art", "arte", "искусство"),
             ("arts-crafts",)),
    Category(_words("musical instrument|musical instruments|music instrument|instrument",
                    "Musikinstrument|Instrument|Musikinstrumente", "instrument de musique|"
                    "instrument|instruments de musique", "instrumento musical|instrumento|"
                    "instrumentos musicales", "музыкальный инструмент|музыкальные инструменты"),
             ("musical-instrument",)),
    Category(_words("music", "Musik", "musique", "música", "музыка"),
             ("music", "musical-instrument")),
    Category(_words("clothing|clothes|something to wear|garment|apparel", "Kleidung|Kleider|"
                    "Kleidungsstück", "vêtement|vêtements|habits", "ropa|prenda|prendas de vestir",
                    "одежда"), ("clothing",)),
    Category(_words("shoe|shoes|footwear", "Schuh|Schuhe", "chaussure|chaussures",
                    "zapato|zapatos|calzado", "обувь|туфли|ботинки"),
             keywords=("shoe", "boot", "sandal", "sneaker"), within=("clothing",)),
    Category(_words("hat|hats|headwear", "Hut|Mütze|Hüte", "chapeau|chapeaux", "sombrero|gorro",
                    "шляпа|головной убор"), keywords=("hat", "cap", "helmet", "crown"),
             within=("clothing",)),
    Category(_words("tool|tools|a tool", "Werkzeug|Werkzeuge", "outil|outils",
                    "herramienta|herramientas", "инструмент|инструменты"),
             ("tool",)),
    Category(_words("weapon|weapons", "Waffe|Waffen", "arme|armes", "arma|armas", "оружие"),
             keywords=("weapon",), within=("tool", "other-object", "sport")),
    Category(_words("computer|electronics|computer equipment|electronic device|gadget",
                    "Computer|Elektronik", "ordinateur|informatique", "ordenador|informática",
                    "компьютер|электроника"), ("computer", "phone")),
    Category(_words("phone|telephone|telephones", "Telefon|Handy", "téléphone", "teléfono",
                    "телефон"), ("phone",)),
    Category(_words("camera|light|lamp|film equipment", "Kamera|Licht|Lampe", "caméra|lumière",
                    "cámara|luz", "камера|свет"), ("light-video",)),
    Category(_words("book|books|paper|reading", "Buch|Bücher|Papier", "livre|livres|papier",
                    "libro|libros|papel", "книга|книги|бумага"), ("book-paper",)),
    Category(_words("money|finance|payment|cash", "Geld|Bargeld", "argent|monnaie",
                    "dinero|efectivo", "деньги"), ("money",)),
    Category(_words("mail|post|letter|email", "Post|Brief", "courrier|poste|lettre",
                    "correo|carta", "почта|письмо"), ("mail",)),
    Category(_words("pen|writing tool|stationery", "Stift|Schreibgerät", "stylo",
                    "bolígrafo|lápiz", "ручка|карандаш"), ("writing",)),
    Category(_words("office|office supplies|office work", "Büro|Bürobedarf", "bureau|fournitures "
                    "de bureau", "oficina|material de oficina", "офис"), ("office",)),
    Category(_words("lock|key|security", "Schloss|Schlüssel|Sicherheit", "serrure|clé|sécurité",
                    "cerradura|llave|seguridad", "замок|ключ"), ("lock",)),
    Category(_words("science|laboratory|scientific instrument", "Wissenschaft|Labor",
                    "science|laboratoire", "ciencia|laboratorio", "наука|лаборатория"),
             ("science",)),
    Category(_words("medicine|medical|health care", "Medizin|Gesundheit", "médecine|santé",
                    "medicina|salud", "медицина|здоровье"), ("medical",)),
    Category(_words("household item|household|furniture|home appliance", "Haushalt|Möbel",
                    "objet ménager|mobilier", "hogar|mueble|artículo del hogar",
                    "предмет быта|мебель"), ("household",)),
    Category(_words("emotion|feeling|face|facial expression|smiley|emoticon",
                    "Gefühl|Gesicht|Gesichtsausdruck|Smiley", "émotion|visage|sentiment|smiley",
                    "emoción|cara|sentimiento|carita", "эмоция|лицо|чувство|смайлик"),
             ("face-smiling", "face-affection", "face-tongue", "face-hand",
              "face-neutral-skeptical", "face-sleepy", "face-unwell", "face-hat", "face-glasses",
              "face-concerned", "face-negative")),
    Category(_words("happy face|smiling|joy|happiness|a happy smiley", "fröhliches Gesicht|Freude|"
                    "Lächeln", "visage heureux|joie|sourire", "cara feliz|alegría|sonrisa",
                    "счастливое лицо|радость|улыбка"), ("face-smiling",)),
    Category(_words("sad face|worried face|unhappy|bad mood", "trauriges Gesicht|unglücklich|"
                    "schlechte Laune", "visage triste|malheureux", "cara triste|infeliz",
                    "грустное лицо|несчастный"), ("face-concerned",)),
    Category(_words("angry face|anger|negative feeling", "wütendes Gesicht|Wut|Ärger",
                    "visage en colère|colère", "cara enfadada|enojo", "злое лицо|злость"),
             keywords=("angry", "anger", "mad", "rage"), within=("face",)),
    Category(_words("sick face|ill|illness", "krank|krankes Gesicht", "malade",
                    "enfermo|enfermedad", "больной|болезнь"), ("face-unwell",)),
    Category(_words("tired face|sleepy|sleep", "müde|Schlaf", "fatigué|sommeil", "cansado|sueño",
                    "усталый|сон"), ("face-sleepy",)),
    Category(_words("love|affection|romance", "Liebe|Zuneigung", "amour|affection",
                    "amor|cariño", "любовь"), ("face-affection", "heart"),
             keywords=("love",), within=("family", "face", "event", "cat-face")),
    Category(_words("heart|hearts", "Herz|Herzen", "cœur|cœurs", "corazón|corazones",
                    "сердце|сердца"), ("heart",)),
    Category(_words("monster|scary|scary creature|costume", "Monster|gruselig", "monstre|effrayant",
                    "monstruo|miedo", "монстр|страшный"), ("face-costume",),
             keywords=("monster",), within=("face-costume", "person-fantasy")),
    Category(_words("fantasy|fairy tale|mythical creature", "Fantasie|Märchen|Fabelwesen",
                    "fantaisie|conte de fées|créature mythique", "fantasía|cuento de hadas",
                    "фантастика|сказка"), ("person-fantasy",),
             keywords=("fairy", "fantasy"), within=("animal", "person")),
    Category(_words("hand|hands|hand gesture|gesture", "Hand|Hände|Handzeichen",
                    "main|mains|geste de la main", "mano|manos|gesto con la mano",
                    "рука|руки|жест"), _HANDS),
    Category(_words("body part|part of the body", "Körperteil", "partie du corps",
                    "parte del cuerpo", "часть тела"), ("body-parts",)),
    Category(_words("person|people|human", "Person|Mensch|Menschen|Leute", "personne|gens|humain",
                    "persona|gente|humano", "человек|люди"), ("person", "person-gesture",
                    "person-role", "person-activity", "person-sport", "person-resting")),
    Category(_words("profession|job|occupation|worker", "Beruf|Arbeiter", "métier|profession",
                    "profesión|trabajo|oficio", "профессия|работник"), ("person-role",)),
    Category(_words("family|couple|parents and children", "Familie|Paar", "famille|couple",
                    "familia|pareja", "семья|пара"), ("family",)),
    Category(_words("traffic sign|road sign|warning sign|sign", "Verkehrsschild|Warnschild|Schild",
                    "panneau|panneau routier", "señal|señal de tráfico", "знак|дорожный знак"),
             ("transport-sign", "warning")),
    Category(_words("arrow|arrows|direction", "Pfeil|Pfeile|Richtung", "flèche|flèches",
                    "flecha|flechas", "стрелка|стрелки"), ("arrow",)),
    Category(_words("religion|religious symbol", "Religion|religiöses Symbol", "religion",
                    "religión|símbolo religioso", "религия"), ("religion",)),
    Category(_words("zodiac|zodiac sign|star sign|astrology", "Sternzeichen|Tierkreis",
                    "zodiaque|signe du zodiaque", "zodiaco|signo del zodiaco",
                    "знак зодиака|зодиак"), ("zodiac",)),
    Category(_words("geometric shape|shape|coloured shape", "geometrische Form|Form",
                    "forme géométrique|forme", "forma geométrica|forma", "геометрическая фигура"),
             ("geometric",)),
    Category(_words("letter button|sign with letters|text symbol", "Buchstaben", "lettres",
                    "letras", "буквы"), ("alphanum",)),
    Category(_words("number key|keycap|digit", "Ziffer|Taste", "chiffre|touche",
                    "número|tecla", "цифра|клавиша"), ("keycap",)),
    Category(_words("flag|flags|national flag|country flag|flag of a country", "Flagge|Fahne|"
                    "Flaggen|Nationalflagge", "drapeau|drapeaux|drapeau national",
                    "bandera|banderas|bandera nacional", "флаг|флаги|государственный флаг"),
             ("country-flag", "subdivision-flag", "flag")),
)  # fmt: skip
