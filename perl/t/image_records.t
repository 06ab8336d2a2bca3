use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use File::Temp qw(tempdir);
use AI::MXNet qw(mx);
use PDL ();

needs_operators(qw(_picture_batch _picture_encode _cvimdecode));

my $dir = tempdir(CLEANUP => 1);
my $image = mx->image;

# Pictures whose pixels tell their place.
sub picture
{
    my ($height, $width, $channels) = @_;
    my @pixels = map {
        my $y = $_;
        map { (($_ * 7 + $y) % 256, ($y * 5) % 256, ($_ + $y * 3) % 256)[0 .. $channels - 1] } 0 .. $width - 1
    } 0 .. $height - 1;
    return nd->array(\@pixels, dtype => 'uint8')->reshape([$height, $width, $channels]);
}

# -- files out of pictures

my $colours = picture(9, 14, 3);
my $png = $image->imencode($colours);
is(substr($png, 0, 4), "\x89PNG", 'a PNG file');
is_deeply([$image->imdecode($png)->aspdl->list], [$colours->aspdl->list], 'which holds the picture');
cmp_ok(
    length $image->imencode($colours, quality => 9),
    '<',
    length $image->imencode($colours, quality => 0),
    'small, or fast'
);
my $grey = picture(5, 4, 1);
is_deeply([$image->imdecode($image->imencode($grey), flag => 0)->aspdl->list], [$grey->aspdl->list], 'a grey one');
my $smooth = nd->array(PDL->xvals(16, 12)->dummy(0, 3) * 10, dtype => 'uint8');
my $jpeg = $image->imencode($smooth, img_fmt => '.jpg');
cmp_ok(($image->imdecode($jpeg)->aspdl->float - $smooth->aspdl->float)->abs->max, '<=', 6, 'a JPEG file is close');
cmp_ok(length $image->imencode($smooth, img_fmt => 'jpeg', quality => 20),
    '<', length $jpeg, 'and smaller with less quality');
$image->imwrite("$dir/a.png", $colours);
is_deeply($image->imread("$dir/a.png")->shape, [9, 14, 3], 'written and read');
dies_with(sub { $image->imwrite("$dir/a.gif", $colours) }, qr/img_fmt got \.gif/, 'another kind');
dies_with(sub { $image->imencode(nd->ones([2, 2, 3])) }, qr/uint8/, 'another dtype');
dies_with(sub { $image->imencode($colours, img_fmt => '.jpg', quality => 101) },
    qr/1 to 100/, 'a quality that there is not');

# -- records with a picture

my $record = mx->recordio->pack_img([0, 3, 7, 0], $colours, quality => 9, img_fmt => '.png');
my ($header, $back) = mx->recordio->unpack_img($record);
is_deeply([$header->label, $header->id, @{ $back->shape }], [3, 7, 9, 14, 3], 'header and picture');
is_deeply([$back->aspdl->list], [$colours->aspdl->list], 'the same pixels');
($header, $back) = mx->recordio->unpack_img(mx->recordio->pack_img(AI::MXNet::IRHeader->new(0, [1, 2], 0, 0), $smooth));
is_deeply([$header->label->list, @{ $back->shape }], [1, 2, 12, 16, 3], 'JPEG by default; several labels');
for my $kind ('.png', '.jpg') {
    my $bytes = mx->recordio->pack_img([0, 1, 1, 0], $grey, img_fmt => $kind);
    is_deeply((mx->recordio->unpack_img($bytes))[1]->shape, [5, 4, 1], "$kind: grey stays grey");
    is_deeply((mx->recordio->unpack_img($bytes, 1))[1]->shape, [5, 4, 3], "$kind: unless colours are asked for");
    is_deeply((mx->recordio->unpack_img($bytes, iscolor => 0))[1]->shape, [5, 4, 1], "$kind: by name");
}

# -- batches of them: the same as step by step

my @pictures = map { picture(@$_, 3) } [8, 12], [12, 8], [6, 6], [5, 20], [9, 9], [20, 7], [4, 3];
{
    my $writer = mx->recordio->MXRecordIO("$dir/a.rec", 'w');
    $writer->write(mx->recordio->pack_img([0, $_ / 2, $_, 0], $pictures[$_], img_fmt => '.png')) for 0 .. $#pictures;
}

sub batches
{
    my ($kind, %option) = @_;
    my $iter = mx->io->$kind({ path_imgrec => "$dir/a.rec", data_shape => [3, 6, 5], batch_size => 7, %option });
    return map { $_->data->[0]->aspdl->copy } @{$iter};
}

sub by_hand
{
    my ($change) = @_;
    my @planes = map { $change->($_)->transpose([2, 0, 1]) } @pictures;
    return nd->stack(@planes, axis => 0, num_args => scalar @planes);
}
my $centre = sub { ($image->center_crop($_[0], [5, 6], 1))[0] };
is_deeply([(batches('ImageRecordUInt8Iter'))[0]->list], [by_hand($centre)->aspdl->list], 'the middle');
is_deeply(
    [(batches('ImageRecordUInt8Iter', resize => 7))[0]->list],
    [by_hand(sub { $centre->($image->resize_short($_[0], 7, 1)) })->aspdl->list],
    'of a smaller picture'
);
srand 5;
my @wanted = by_hand(sub { ($image->random_crop($_[0], [5, 6], 1))[0] })->aspdl->list;
srand 5;
is_deeply([(batches('ImageRecordUInt8Iter', rand_crop => 1))[0]->list], \@wanted, 'any part');
my $middle = by_hand($centre)->astype('float32');
is_deeply([(batches('ImageRecordUInt8Iter', mirror => 1))[0]->list],
    [nd->reverse($middle, axis => 3)->aspdl->list], 'mirrored');
my %norm = (mean_r => 100, mean_g => 110, mean_b => 120, std_r => 2, std_g => 3, std_b => 4, scale => 0.5);
my ($mean, $std) = map { nd->array($_)->reshape([3, 1, 1]) } [100, 110, 120], [2, 3, 4];
is_close([(batches('ImageRecordIter', %norm))[0]->list], ($middle - $mean) / $std * 0.5, 'scaled');
is_deeply(
    [(batches('ImageRecordInt8Iter', mean_r => 128, mean_g => 128, mean_b => 128))[0]->list],
    [map { $_ - 128 } $middle->aspdl->list],
    'less the mean'
);
my $of_all = $middle->mean({ axis => 0 });
is_close(
    [(batches('ImageRecordIter', mean_img => "$dir/mean.bin"))[0]->list],
    $middle - $of_all,
    'less the mean picture'
);
is_close(nd->load("$dir/mean.bin")->{mean_img}, $of_all, 'which is kept');
is_deeply([map { $_->dim(3) } batches('ImageRecordIter', batch_size => 3)], [3, 3, 3], 'whole batches');
my $greys = mx->io->ImageRecordIter({ path_imgrec => "$dir/a.rec", data_shape => [1, 3, 3], batch_size => 7 });
is_deeply((<$greys>)->data->[0]->shape, [7, 1, 3, 3], 'one channel');
{
    my $writer = mx->recordio->MXRecordIO("$dir/bad.rec", 'w');
    $writer->write(mx->recordio->pack([0, 1, 1, 0], $_)) for $png, $png, 'nonsense';
}
my $bad = mx->io->ImageRecordIter({ path_imgrec => "$dir/bad.rec", data_shape => [3, 2, 2], batch_size => 3 });
dies_with(sub { $bad->next }, qr/picture 2: a JPEG or PNG picture is wanted/, 'which picture is none');

# -- borders, scales, and parts of any size

my @all = map { $_->transpose([2, 0, 1]) } @pictures;
my %whole = (path_imgrec => "$dir/a.rec", batch_size => 7, inter_method => 0);
my $bordered =
    (mx->io->ImageRecordUInt8Iter({ %whole, data_shape => [3, 12, 16], pad => 2, fill_value => 9 })->next)->data->[0]
    ->at(0)->aspdl;
is_deeply([$bordered->slice('2:13,2:9')->list], [$all[0]->aspdl->list], 'a picture');
is($bordered->double->sum - $all[0]->aspdl->double->sum, 9 * 3 * (12 * 16 - 8 * 12), 'in a border');

# -- turned and sheared around the middle

sub turned
{
    my %how = (%whole, data_shape => [3, 8, 12], fill_value => 9, @_);
    return (mx->io->ImageRecordUInt8Iter(\%how)->next)->data->[0]->at(0)->aspdl;
}
is_deeply([turned(rotate => 180)->slice('1:11,1:7')->list], [$all[0]->aspdl->slice('-1:1,-1:1')->list], 'half a turn');
is_deeply([turned(rotate => 180)->slice(':,0')->uniq->list], [9], 'with nothing above');
is_deeply([turned(rotate => 180, max_rotate_angle => 5)->list], [turned(rotate => 180)->list], 'an angle that is told');
{
    srand 3;
    my @sheared = map { turned(max_shear_ratio => 0.5) } 1 .. 4;
    is_deeply([$_->slice(':,4')->list], [$all[0]->aspdl->slice(':,4')->list], 'the middle row stays') for @sheared;
    isnt("@{[$sheared[0]->list]}", "@{[$sheared[1]->list]}", 'others go by chance');
    my %seen = map { (join(' ', turned(max_rotate_angle => 1, inter_method => 1)->list) => 1) } 1 .. 40;
    is(scalar keys %seen, 3, 'angles from -1 to 1');
    ok($seen{ join ' ', $all[0]->aspdl->list }, 'none among them');
}
is_deeply(
    [
        (batches('ImageRecordUInt8Iter', %whole, data_shape => [3, 4, 4], min_random_scale => 2, max_random_scale => 2))
        [0]->slice(',,,0')->list
    ],
    [
        nd->image->resize(
            $pictures[0]->slice_axis(axis => 0, begin => 3, end => 5)->slice_axis(axis => 1, begin => 5, end => 7),
            [4, 4], 0, 0)->transpose([2, 0, 1])->aspdl->list
    ],
    'twice as large'
);
{
    srand 6;
    my %seen;
    for (1 .. 30) {
        my ($x) = batches(
            'ImageRecordUInt8Iter', %whole,
            data_shape => [3, 8, 8],
            random_resized_crop => 1,
            min_random_area => 0.1,
            max_random_area => 0.5,
            max_aspect_ratio => 0.3
        );
        my $part = $x->slice(',,,1');
        my $down = $part->slice(',,(1),(0)')->slice('(0),')->double;    # 5 times the row
        my $rows = 1 + ($down->at(7) - $down->at(0)) / 5;
        $seen{$rows}++;
    }
    cmp_ok(scalar keys %seen, '>', 3, 'parts of several sizes');
    ok(!(grep { $_ > 9 } keys %seen), 'none larger than allowed');
    my ($square) =
        batches('ImageRecordUInt8Iter', %whole, data_shape => [3, 6, 6], min_crop_size => 3, max_crop_size => 3);
    is_deeply(
        [$square->slice(',,(1),(0)')->slice('(0),')->list],
        [map { 5 * $_ } 2, 2, 3, 3, 4, 4],
        'a square from the middle'
    );
}
dies_with(
    sub {
        mx->io->ImageRecordIter({ %whole, data_shape => [3, 4, 4], random_resized_crop => 1, max_aspect_ratio => 2 });
    },
    qr/aspect ratios from -1 to 3/,
    'ratios below 0'
);
dies_with(
    sub { mx->io->ImageRecordIter({ %whole, data_shape => [3, 4, 4], min_random_scale => 2 }) },
    qr/min_random_scale and max_random_scale got 2 1/,
    'falling ranges'
);

for my $case ([9, 20, 24, 2], [9, 3, 3, 3], [2, 3, 3, 2]) {
    my ($method, $height, $width, $as) = @$case;
    my ($got, $want) = map {
        (
            batches(
                'ImageRecordUInt8Iter', %whole,
                data_shape => [3, $height, $width],
                min_random_scale => 0.5,
                max_random_scale => 0.5,
                inter_method => $_
            )
        )[0]
    } $method, $as;
    is_deeply([$got->list], [$want->list], "interpolation $method at ${height}x$width");
}
is(scalar(map { $_->list } batches('ImageRecordUInt8Iter', %whole, data_shape => [3, 2, 2], inter_method => 10)),
    7 * 12, 'any interpolation');

# -- other colours

my @raw = (batches('ImageRecordIter'))[0]->list;
my $jitter = sub { srand 9; return (batches('ImageRecordIter', @_))[0] };
is_close([$jitter->(random_h => 1e-9, random_s => 1e-9, random_l => 1e-9)->list],
    \@raw, 'by hue, saturation and lightness and back', 1e-3);
{
    my $red = PDL->zeroes(PDL::byte(), 3, 4, 4);
    $red->slice('(0),,') .= 200;
    my $writer = mx->recordio->MXRecordIO("$dir/red.rec", 'w');
    $writer->write(mx->recordio->pack_img([0, 1, $_, 0], nd->array($red, dtype => 'uint8'), img_fmt => '.png'))
        for 1 .. 40;
}
my $of_red = sub {
    srand 2;
    my $iter =
        mx->io->ImageRecordIter({ path_imgrec => "$dir/red.rec", data_shape => [3, 2, 2], batch_size => 40, @_ });
    return $iter->next->data->[0]->aspdl->slice('(0),(0),,');    # channel, picture
};
my $turned_hue = $of_red->(random_h => 60);
is_close([$turned_hue->maxover->list], [(200) x 40], 'another hue is as strong');
cmp_ok($turned_hue->slice('(1),')->max, '>', 100, 'towards green');
cmp_ok($turned_hue->slice('(2),')->max, '>', 100, 'or blue');
my $brighter = $of_red->(brightness => 0.2);
cmp_ok($brighter->max, '<=', 240, 'no brighter than asked for');
cmp_ok($brighter->slice('(0),')->max - $brighter->slice('(0),')->min, '>', 40, 'each picture another');
is($brighter->slice('1:2,')->sum, 0, 'still red');
my $paler = $of_red->(saturation => 0.5);
my $less = $paler->slice('(1),')->which;
cmp_ok($less->nelem, '>', 10, 'some are paler');
is_close(
    [($paler->dice_axis(1, $less) * PDL->pdl([0.299, 0.587, 0.114]))->sumover->list],
    [(59.8) x $less->nelem],
    'and as bright', 1e-5
);
is_close(
    [$of_red->(contrast => 0.3)->slice('(1),')->list],
    [
        map { my $part = ($_ - 59.8) / 140.2; 59.8 * (1 - $part) > 0 ? 59.8 * (1 - $part) : 0 }
            $of_red->(contrast => 0.3)->slice('(0),')->list
    ],
    'contrast is about the mean',
    1e-3
);
my $lit = $of_red->(pca_noise => 0.1)->slice('(2),');
cmp_ok($lit->max, '>', 0.5, 'another light');
is_close(
    [$of_red->(max_random_illumination => 5, mean_r => 200)->slice('(0),')->list],
    [$of_red->(max_random_illumination => 5)->slice('(0),')->minus(200, 0)->list],
    'added after the mean', 1e-4
);
is(
    (
        mx->io->ImageRecordUInt8Iter(
            { path_imgrec => "$dir/red.rec", data_shape => [3, 2, 2], batch_size => 40, brightness => 0.2 }
        )->next
    )->data->[0]->dtype,
    'uint8',
    'as bytes too'
);

# -- pictures with boxes

{
    my $writer = mx->recordio->MXRecordIO("$dir/box.rec", 'w');
    my @boxes = ([2, 5, 1, 0.1, 0.2, 0.4, 0.8], [3, 5, 9, 0, 0, 0, 0.5, 1, 2, 0.5, 0.25, 1, 0.75]);
    for my $i (0, 1) {
        $writer->write(
            mx->recordio->pack_img(AI::MXNet::IRHeader->new(0, $boxes[$i], $i, 0), $pictures[$i], img_fmt => '.png'));
    }
}

sub boxes
{
    my %option = @_;
    my $iter = mx->io->ImageDetRecordIter(
        { path_imgrec => "$dir/box.rec", data_shape => [3, 6, 5], batch_size => 2, %option });
    my $batch = $iter->next;
    is_deeply($iter->provide_label->[0]->shape, $batch->label->[0]->shape, 'the shape of the labels is told');
    return ($batch->data->[0], $batch->label->[0]);
}
my ($data, $labels) = boxes();
is_deeply($labels->shape, [2, 17], 'as wide as the longest');
is_close($labels->at(0), [3, 6, 5, 7, 2, 5, 1, 0.1, 0.2, 0.4, 0.8, (-1) x 6], 'sizes, labels and padding');
is_close($labels->at(1), [3, 6, 5, 13, 3, 5, 9, 0, 0, 0, 0.5, 1, 2, 0.5, 0.25, 1, 0.75], 'two objects');
my @squeezed = map { $image->imresize($_, 5, 6, 1)->transpose([2, 0, 1])->astype('float32') } @pictures[0, 1];
is_close($data, nd->stack(@squeezed, axis => 0, num_args => 2), 'the whole picture');
my ($mirrored, $turned) = boxes(rand_mirror_prob => 1, label_pad_width => 20, label_pad_value => -2);
is_close($turned->at(0), [3, 6, 5, 7, 2, 5, 1, 0.6, 0.2, 0.9, 0.8, (-2) x 13], 'boxes are mirrored with their picture');
is_close($mirrored, nd->reverse($data, axis => 3), 'which is');
my %box = (path_imgrec => "$dir/box.rec", data_shape => [3, 6, 5], batch_size => 2);
dies_with(
    sub { mx->io->ImageDetRecordIter({ %box, label_pad_width => 5 }) },
    qr/label_pad_width got 5/,
    'too little room'
);

# -- windows out of pictures with boxes, and around them: the bright part of a dark picture stays where its box says

sub bright
{
    my ($height, $width, @box) = @_;
    my $pixels = PDL->zeroes(PDL::byte(), 3, $width, $height);
    my ($l, $t, $r, $b) = @box;
    $pixels->slice(':,' . ($l * $width) . ':' . ($r * $width - 1) . ',' . ($t * $height) . ':' . ($b * $height - 1)) .=
        255;
    return nd->array($pixels, dtype => 'uint8');
}
my @objects = ([0.25, 0.25, 0.5, 0.75], [0.5, 0.25, 0.75, 0.5]);
{
    my $writer = mx->recordio->MXRecordIO("$dir/bright.rec", 'w');
    for my $i (0, 1) {
        $writer->write(
            mx->recordio->pack_img(
                AI::MXNet::IRHeader->new(0, [2, 5, $i, @{ $objects[$i] }], $i, 0),
                bright(40, $i ? 40 : 80, @{ $objects[$i] }),
                img_fmt => '.png'
            )
        );
    }
}
my %bright = (
    path_imgrec => "$dir/bright.rec",
    data_shape => [3, 64, 64],
    batch_size => 2,
    inter_method => 0,
    fill_value => 0
);

# How much brighter the inside of the boxes is than the outside, a pixel from the edges, and the boxes.
sub contrast
{
    my $iter = mx->io->ImageDetRecordIter({ %bright, @_ });
    my (@contrasts, @boxes);
    for (1 .. 20) {
        my $batch = $iter->next // do { $iter->reset; $iter->next };
        for my $i (0, 1) {
            my $row = $batch->label->[0]->at($i)->aspdl;
            next if $row->at(3) < 7;
            my ($l, $t, $r, $b) = map { 64 * $row->at(7 + $_) } 0 .. 3;
            my ($x, $y) = (PDL->xvals(64, 64) + 0.5, PDL->yvals(64, 64) + 0.5);
            my $inside = ($x > $l + 2) & ($x < $r - 2) & ($y > $t + 2) & ($y < $b - 2);
            my $outside = ($x < $l - 2) | ($x > $r + 2) | ($y < $t - 2) | ($y > $b + 2);
            my $red = $batch->data->[0]->at($i)->at(0)->aspdl;
            push @contrasts, $red->where($inside)->min if $inside->any;
            push @contrasts, 255 - $red->where($outside)->max if $outside->any;
            push @boxes, [$l, $t, $r, $b];
        }
    }
    return (\@contrasts, \@boxes);
}
srand 3;
for my $case (
    ['nothing', 40],
    ['borders', 40, rand_pad_prob => 1, max_pad_scale => 3],
    [
        'crops', 40,
        rand_crop_prob => 1,
        min_crop_scales => 0.3,
        max_crop_aspect_ratios => 2,
        min_crop_aspect_ratios => 0.5
    ],
    [
        'all at once', 40,
        rand_pad_prob => 0.7,
        max_pad_scale => 2,
        rand_crop_prob => 0.7,
        num_crop_sampler => 2,
        min_crop_scales => [0.4, 0.6],
        max_crop_scales => '(0.6, 1.0)',
        min_crop_object_coverages => [0.5, 0],
        rand_mirror_prob => 0.5
    ],
    )
{
    my ($what, $count, %option) = @$case;
    my ($contrasts, $boxes) = contrast(%option);
    is(@$boxes, $count, "$what: no picture loses its object");
    ok(!(grep { $_ != 255 } @$contrasts), 'which is where its box says');
    my %places = map { ("@$_" => 1) } @$boxes;
    cmp_ok(scalar keys %places, $what eq 'nothing' ? '<' : '>', 10, 'at another place each time');
}
{
    my (undef, $boxes) = contrast(
        rand_crop_prob => 1,
        min_crop_scales => 0.5,
        max_crop_scales => 0.5,
        min_crop_object_coverages => 1,
        max_crop_trials => 500
    );
    ok(!(grep { my $area = ($_->[2] - $_->[0]) * ($_->[3] - $_->[1]) / 64**2; $area < 0.24 } @$boxes),
        'whole objects in half a picture');
    (undef, $boxes) = contrast(rand_crop_prob => 1, min_crop_overlaps => 0.9, max_crop_trials => 3);
    my %places = map { ("@$_" => 1) } @$boxes;
    cmp_ok(scalar keys %places, '<=', 6, 'where no window suits, the picture stays whole');
}
for my $refused (
    [{ rand_crop_prob => 2 }, qr/rand_crop_prob got 2, want 0 to 1/],
    [{ max_pad_scale => 0.5 }, qr/max_pad_scale got 0.5, want at least 1/],
    [{ min_crop_scales => 0.9, max_crop_scales => 0.1 }, qr/min_crop_scales and max_crop_scales got 0.9 and 0.1/],
    [
        { num_crop_sampler => 3, min_crop_scales => [0.1, 0.2] },
        qr/min_crop_scales got 2 numbers, want 1 or num_crop_sampler, 3/
    ],
    [{ crop_emit_mode => 'edge' }, qr/crop_emit_mode got edge, want center or overlap/],
    )
{
    my ($option, $why) = @$refused;
    dies_with(sub { mx->io->ImageDetRecordIter({ %bright, %$option }) }, $why, join ' ', sort keys %$option);
}
is_deeply(
    [AI::MXNet::IO::Boxes::seen([0.5, 0, 1, 1], [[7, 0.25, 0, 0.65, 1, 'more']], 0.3)],
    [[7, 0, 0, 0.3, 1, 'more']],
    'what is left of a box'
);
{
    srand 7;
    my $iter = mx->io->ImageDetRecordIter({ %bright, max_random_illumination => 50, random_illumination_prob => 0.5 });
    my @dark;
    for (1 .. 20) {
        my $batch = $iter->next // do { $iter->reset; $iter->next };
        push @dark, map { $batch->data->[0]->at($_)->at(0)->aspdl->at(0, 0) } 0, 1;
    }
    my $changed = grep { $_ > 0 } @dark;
    cmp_ok($changed, '>', 3, 'some pictures are lighter');
    cmp_ok($changed, '<', 25, 'with the chance asked for');
    cmp_ok((sort { $b <=> $a } @dark)[0], '<=', 50, 'by no more than allowed');
}
is_deeply([AI::MXNet::IO::Boxes::seen([0.5, 0, 1, 1], [[7, 0.25, 0, 0.65, 1]])], [], 'unless its middle is outside');
is_deeply(AI::MXNet::IO::Boxes::through([0, 0, 0.5, 2], [0.5, 0.5, 1, 1]), [0.25, 1, 0.5, 2], 'a window in a window');

# -- pictures that keep their ratio: what MXNet makes of sizes, the last two of which float64 would have otherwise

my %sized = (
    shrink => [
        [20, 30, 20, 30],
        [40, 25, 40, 25],
        [64, 64, 40, 40],
        [50, 100, 30, 60],
        [33, 61, 32, 60],
        [21, 116, 10, 59],
        [36, 88, 24, 60]
    ],
    fit => [
        [20, 30, 40, 60],
        [40, 25, 40, 25],
        [10, 12, 40, 48],
        [30, 40, 40, 53],
        [7, 40, 10, 60],
        [21, 116, 10, 59],
        [36, 88, 24, 60]
    ],
);
for my $mode (sort keys %sized) {
    my @sizes = @{ $sized{$mode} };
    my @whole = map { picture(@$_[0, 1], 3) + 1 } @sizes;
    my $writer = mx->recordio->MXRecordIO("$dir/$mode.rec", 'w');
    for my $i (0 .. $#whole) {
        my $header = AI::MXNet::IRHeader->new(0, [2, 5, $i, 0.25, 0.25, 0.5, 0.5], $i, 0);
        $writer->write(mx->recordio->pack_img($header, $whole[$i], img_fmt => '.png'));
    }
    undef $writer;
    my $read = sub {
        my $iter = mx->io->ImageDetRecordIter(
            {
                path_imgrec => "$dir/$mode.rec",
                data_shape => [3, 40, 60],
                batch_size => scalar @sizes,
                resize_mode => $mode,
                @_
            }
        );
        my $batch = $iter->next;
        return ($batch->data->[0], $batch->label->[0]);
    };
    my ($data, $labels) = $read->();
    my $lie = sub {
        my ($planes, $i) = @_;
        return $planes->at($i)->slice_axis(axis => 1, begin => 0, end => $sizes[$i][2])
            ->slice_axis(axis => 2, begin => 0, end => $sizes[$i][3]);
    };
    for my $i (0 .. $#sizes) {
        my ($from, @to) = ("$sizes[$i][0]x$sizes[$i][1]", @{ $sizes[$i] }[2, 3]);
        is_close(
            $labels->at($i),
            [3, @to, 7, 2, 5, $i, 0.25, 0.25, 0.5, 0.5],
            "$mode of $from: the size, and boxes as they were"
        );
        my $want = $image->imresize($whole[$i], $to[1], $to[0], 1)->transpose([2, 0, 1])->astype('float32');
        is_close($lie->($data, $i), $want, 'the picture at the top left');
        is_close($data->at($i)->sum, $want->sum, 'and nothing beside it');
    }
    my ($mirrored) = $read->(rand_mirror_prob => 1);
    is_close($lie->($mirrored, 2), nd->reverse($lie->($data, 2), axis => 2), 'mirrored where it lies');
    my ($normed) = $read->(mean_r => 10, mean_b => 30, std_r => 2, scale => 3);
    is_close(
        $normed->at(5)->slice_axis(axis => 1, begin => 39, end => 40)->slice_axis(axis => 2, begin => 59, end => 60),
        [-15, 0, -90],
        'black is scaled as all else'
    );
    my ($lighter) = $read->(max_random_illumination => 80, random_illumination_prob => 1);
    is_close($lighter->at(5)->slice_axis(axis => 1, begin => 10, end => 40), [(0) x (3 * 30 * 60)], 'but stays black');
    srand 5;
    my ($cut, $about) = $read->(rand_crop_prob => 1, min_crop_scales => 0.5, max_crop_scales => 0.5);
    my $row = $about->at(2)->aspdl;
    my ($height, $width) = map { $row->at($_) } 1, 2;
    my @side = map { $_ / 2 } @{ $sizes[2] }[0, 1];
    my $ratio = $mode eq 'fit' ? (sort { $a <=> $b } 40 / $side[0], 60 / $side[1])[0] : 1;
    cmp_ok(abs($height - $ratio * $side[0]) + abs($width - $ratio * $side[1]), '<', 2 + 2 * $ratio, "$mode of a part");
    ok($cut->at(2)->slice_axis(axis => 1, begin => $height - 1, end => $height)->max->asscalar > 0,
        'fills what is told');
}
dies_with(
    sub { mx->io->ImageDetRecordIter({ %bright, resize_mode => 'grow' }) },
    qr/resize_mode got grow, want force or shrink or fit/,
    'another way to resize'
);

# -- reading ahead

{
    my %six = (
        path_imgrec => "$dir/a.rec",
        data_shape => [3, 6, 5],
        batch_size => 2,
        rand_crop => 1,
        rand_mirror => 1,
        shuffle => 1
    );
    my @runs = map {
        srand 8;
        my $iter = mx->io->ImageRecordIter({ %six, prefetch_buffer => $_ });
        my @numbers;
        for (1, 2) {
            while (defined(my $batch = <$iter>)) {
                push @numbers, $batch->data->[0]->aspdl->list, $batch->label->[0]->aspdl->list;
            }
            $iter->reset;
        }
        \@numbers;
    } 0, 4;
    is_deeply($runs[1], $runs[0], 'the same pictures as without');
    my $iter = mx->io->ImageRecordIter({ %six, shuffle => 0, rand_crop => 0, rand_mirror => 0, round_batch => 0 });
    my $first = (<$iter>)->data->[0]->aspdl->copy;
    pipe my $read, my $write;
    my $child = fork // die "no fork: $!";
    if (not $child) {
        close $read;
        print {$write} join ' ', map { $_->data->[0]->sum->asscalar } @{$iter};
        close $write;
        require POSIX;
        POSIX::_exit(0);
    }
    close $write;
    my @here = map { $_->data->[0]->sum->asscalar } @{$iter};
    is(do { local $/ = undef; <$read> }, "@here", 'a child reads on as its parent does');
    waitpid $child, 0;
    $iter->reset;
    is_deeply([(<$iter>)->data->[0]->aspdl->list], [$first->list], 'another pass begins at the beginning');
    my $torn = mx->io->ImageRecordIter({ path_imgrec => "$dir/bad.rec", data_shape => [3, 2, 2], batch_size => 1 });
    is(scalar(map { $torn->next } 1, 2), 2, 'a bad picture ahead does not hurt the batches before it');
    dies_with(sub { $torn->next }, qr/a JPEG or PNG picture is wanted/, 'and fails in its own');
}

done_testing;
