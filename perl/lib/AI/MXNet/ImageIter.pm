package AI::MXNet::ImageIter;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::DataIter;
use AI::MXNet::Logging;
use List::Util ();
use Mouse;
extends 'AI::MXNet::DataIter';

# Batches of pictures from a file of records, a file that lists files, or a list in memory.

has batch_size => (is => 'ro', isa => 'Int', required => 1);
has data_shape => (is => 'ro', isa => 'ArrayRef[Int]', required => 1);
has label_width => (is => 'ro', isa => 'Int', default => 1);
has [qw(path_imgrec path_imglist path_imgidx)] => (is => 'ro', isa => 'Maybe[Str]');
has path_root => (is => 'ro', isa => 'Str', default => '');
has imglist => (is => 'rw', isa => 'Maybe[ArrayRef|HashRef]');
has shuffle => (is => 'ro', isa => 'Bool', default => 0);
has part_index => (is => 'ro', isa => 'Int', default => 0);
has num_parts => (is => 'ro', isa => 'Int', default => 1);
has aug_list => (is => 'rw', isa => 'Maybe[ArrayRef]');
has kwargs => (is => 'ro', isa => 'Maybe[HashRef]');
has data_name => (is => 'ro', isa => 'Str', default => 'data');
has label_name => (is => 'ro', isa => 'Str', default => 'softmax_label');
has [qw(imgrec seq cur)] => (is => 'rw', init_arg => undef);

sub AI::MXNet::Image::ImageIter { my ($class, @args) = @_; return __PACKAGE__->new(@args) }

sub _fail { return AI::MXNet::Keshi::fail("ImageIter: $_[0]") }

sub BUILD
{
    my $self = shift;
    my @shape = @{ $self->data_shape };
    _fail('data_shape should have length 3, with dimensions CxHxW') if @shape != 3;
    _fail('This iterator expects inputs to have 3 channels.') if $shape[0] != 3;
    _fail('path_imgrec, path_imglist or imglist is wanted')
        if not grep { defined $self->$_ } qw(path_imgrec path_imglist imglist);
    $self->_open_records if defined $self->path_imgrec;
    $self->_read_list if defined $self->path_imglist or defined $self->imglist;
    my $keys = $self->seq;

    if ($self->shuffle or $self->num_parts > 1) {
        _fail('shuffle and num_parts want path_imgidx') if not defined $keys;
    }
    if ($self->num_parts > 1) {
        my ($first, $last) = AI::MXNet::IO::Files::part(scalar @$keys, $self->num_parts, $self->part_index);
        $self->seq([@{$keys}[$first .. $last]]);
    }
    $self->aug_list(AI::MXNet::Image->CreateAugmenter(data_shape => $self->data_shape, %{ $self->kwargs }))
        if $self->kwargs and not $self->aug_list;
    $self->reset;
    return;
}

sub _open_records
{
    my $self = shift;
    print "loading recordio...\n";
    if (defined $self->path_imgidx) {
        $self->imgrec(
            AI::MXNet::IndexedRecordIO->new(idx_path => $self->path_imgidx, uri => $self->path_imgrec, flag => 'r'));
        $self->seq($self->imgrec->keys);
    } else {
        $self->imgrec(AI::MXNet::RecordIO->new(uri => $self->path_imgrec, flag => 'r'));
    }
    return;
}

# Labels and file names by key.
sub _read_list
{
    my $self = shift;
    print "loading image list...\n";
    my (%list, @keys);
    if (defined $self->path_imglist) {
        open my $in, '<', $self->path_imglist or _fail('cannot read ' . $self->path_imglist . ": $!");
        while (my $line = <$in>) {
            chomp $line;
            my ($key, @fields) = split /\t/, $line;
            my $name = pop @fields;
            _fail($self->path_imglist . " line $.: got @{[scalar @fields]} labels, want " . $self->label_width)
                if @fields != $self->label_width;
            $list{$key} = [\@fields, $name];
            push @keys, $key;
        }
        close $in;
    } else {
        for my $entry (@{ $self->imglist }) {
            my @fields = @$entry;
            my $name = pop @fields;
            my @labels = map { ref $_ eq 'ARRAY' ? @$_ : ref $_ ? $_->aspdl->list : $_ } @fields;
            push @keys, @keys + 1;
            $list{ $keys[-1] } = [\@labels, $name];
        }
    }
    $self->imglist(\%list);
    $self->seq(\@keys) if not defined $self->path_imgrec;
    return;
}

sub reset    ## no critic (ProhibitBuiltinHomonyms)
{
    my $self = shift;
    $self->seq([List::Util::shuffle(@{ $self->seq })]) if $self->shuffle;
    $self->imgrec->reset if $self->imgrec;
    $self->cur(0);
    return;
}

# Labels and the bytes of a picture; nothing at the end.
sub next_sample
{
    my $self = shift;
    my $list = $self->imglist;
    my ($key, $bytes);
    if (defined $self->seq) {
        return if $self->cur >= @{ $self->seq };
        $key = $self->seq->[$self->cur];
        $self->cur($self->cur + 1);
    }
    if ($self->imgrec) {
        my $record = defined $key ? $self->imgrec->read_idx($key) : $self->imgrec->read;
        return if not defined $record;
        my ($header, $rest) = AI::MXNet::RecordIO->unpack($record);
        my $label =
            $list && $list->{ defined $key ? $key : $header->id } ? $list->{ $key // $header->id }[0] : $header->label;
        return ($label, $rest);
    }
    my ($label, $name) = @{ $list->{$key} };
    my $file = length $self->path_root ? $self->path_root . "/$name" : $name;
    return ($label, AI::MXNet::IO::Files::slurp('ImageIter', $file));
}

sub next    ## no critic (ProhibitBuiltinHomonyms)
{
    my $self = shift;
    my $size = $self->batch_size;
    my ($data, $label) = map { AI::MXNet::NDArray->zeros($_->[0]->shape) } $self->provide_data, $self->provide_label;
    my $count = 0;
    while ($count < $size and my ($labels, $bytes) = $self->next_sample) {
        my $pictures = eval { [AI::MXNet::Image->imdecode($bytes)] };
        if (not $pictures) {
            AI::MXNet::Logging->warning('Invalid image, skipping: %s', $@);
            next;
        }
        for my $change (@{ $self->aug_list // [] }) {
            $pictures = [map { @{ $change->($_) } } @$pictures];
        }
        for my $picture (@$pictures[0 .. ($#$pictures < $size - $count - 1 ? $#$pictures : $size - $count - 1)]) {
            my $planes = $picture->transpose([2, 0, 1])->astype('float32');
            _fail('a picture of ' . join('x', @{ $planes->shape }) . ', want ' . join('x', @{ $self->data_shape }))
                if "@{ $planes->shape }" ne "@{ $self->data_shape }";
            $data->at($count) .= $planes;
            $label->slice([$count, $count]) .=
                ref $labels eq 'ARRAY' && @$labels == 1 ? $labels->[0] : $self->_row($labels);
            $count++;
        }
    }
    return if not $count;
    return AI::MXNet::DataBatch->new(data => [$data], label => [$label], pad => $size - $count);
}

sub _row
{
    my ($self, $labels) = @_;
    return $labels if not ref $labels;
    return AI::MXNet::NDArray->array(ref $labels eq 'ARRAY' ? $labels : [$labels->list])
        ->reshape([1, $self->label_width]);
}

sub provide_data
{
    my $self = shift;
    return [AI::MXNet::DataDesc->new(name => $self->data_name, shape => [$self->batch_size, @{ $self->data_shape }])];
}

sub provide_label
{
    my $self = shift;
    my @shape = ($self->batch_size, $self->label_width > 1 ? $self->label_width : ());
    return [AI::MXNet::DataDesc->new(name => $self->label_name, shape => \@shape)];
}

__PACKAGE__->meta->make_immutable;
no Mouse;

1;

__END__

=head1 NAME

AI::MXNet::ImageIter - batches of pictures from files

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    if (-e 'pictures.lst') {
        my $iter = mx->image->ImageIter(batch_size => 8, data_shape => [3, 32, 32], path_imglist => 'pictures.lst',
            path_root => 'pictures', shuffle => 1, kwargs => { rand_crop => 1, mean => 1, std => 1 });
        while (defined(my $batch = <$iter>)) { print $batch->data->[0], $batch->pad, "\n" }
    }

=head1 DESCRIPTION

Pictures come from C<path_imgrec>, a file of records (with C<path_imgidx>, its index, if they are to be shuffled or split), from
C<path_imglist>, a file with lines of key, C<label_width> labels and a name below C<path_root>, or from C<imglist>, a list of lists of labels and
a name. A list beside records gives the labels by key.

C<kwargs> go to C<CreateAugmenter> of L<AI::MXNet::Image>; C<aug_list> is a list of such changes. With neither, pictures must have the size of
C<data_shape>, which is C<[3, height, width]>. C<num_parts> and C<part_index> choose a part. The last batch is short: C<pad> rows at its end are
0.

=cut
