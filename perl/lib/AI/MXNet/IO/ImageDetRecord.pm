package AI::MXNet::IO::ImageDetRecord;
use 5.014;
use strict;
use warnings;
use List::Util qw(max);
use Mouse;
use AI::MXNet::IO::ImageRecord;
extends 'AI::MXNet::IO::ImageRecord';

# Pictures with boxes: a record's labels are the width of its header (at least 2), the width of an object (at least 5), the rest of
# the header, and the objects: class, left, top, right and bottom as parts of the picture, and whatever else.

has _pad_width => (is => 'rw', init_arg => undef);

after _open => sub {
    my ($self, $options) = @_;
    for my $name (qw(rand_crop_prob rand_pad_prob)) {
        $self->_fail("$name is not there: boxes are only mirrored, with rand_mirror_prob")
            if $self->_number($name => 0) > 0;
    }
    $self->_mirror_prob;
    my $widest = max map { scalar @{ $self->_label_of(($self->_read($_))[0]) } } 0 .. $self->_rows - 1;
    my $wanted = $self->_number(label_pad_width => 0);
    $self->_fail("label_pad_width got $wanted, but a record has $widest labels") if $wanted > 0 and $wanted < $widest;
    $self->_label_shape([4 + ($wanted > 0 ? $wanted : $widest)]);
};

sub _frame { my $self = shift; return ($self->SUPER::_frame, whole => 1) }

sub _mirror_prob
{
    my $self = shift;
    my $chance = $self->_number(rand_mirror_prob => 0);
    $self->_fail("rand_mirror_prob got $chance, want 0 to 1") if $chance < 0 or $chance > 1;
    return $chance;
}

sub _chances
{
    my ($self, $count) = @_;
    my $chance = $self->_mirror_prob;
    return (mirror => [map { $chance && rand() < $chance ? 1 : 0 } 1 .. $count]);
}

# Channels, height, width and number of labels, the labels, and label_pad_value.
sub _label_rows
{
    my ($self, $labels, $chances) = @_;
    my ($width, $pad) = ($self->_label_shape->[0], $self->_number(label_pad_value => -1));
    my @rows;
    for my $i (0 .. $#$labels) {
        my @label = @{ $labels->[$i] };
        my ($header, $object) = @label;
        $self->_fail('a record of ' . @label . ' labels, want the widths of its header and of an object, and objects')
            if @label < 2
            or $header < 2
            or $object < 5
            or @label < $header
            or (@label - $header) % $object;
        if ($chances->{mirror}[$i]) {
            for (my $at = $header; $at < @label; $at += $object) {
                @label[$at + 1, $at + 3] = (1 - $label[$at + 3], 1 - $label[$at + 1]);
            }
        }
        my @row = (@{ $self->_data_shape }, scalar @label, @label);
        push @rows, [@row, ($pad) x ($width - @row)];
    }
    return @rows;
}

1;
